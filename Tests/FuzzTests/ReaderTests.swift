import Glibc
import Testing

/// Every reader of what comes from outside, fed with damaged and made-up input: none crashes, none goes astray, and
/// what is accepted means itself. `make fuzz` goes on for as long as it is told, from a new seed each time.
@Suite("Readers under attack")
struct ReaderTests {
    /// All, or the one that `LAB_FUZZ_ONLY` names.
    static let targets: [FuzzTarget] = {
        let all = [documents, patches, selectors, wire, streams, protobuf, languages, netlink].flatMap(\.self)
        guard let only = getenv("LAB_FUZZ_ONLY").map({ String(cString: $0) }) else { return all }
        return all.filter { $0.name == only }
    }()

    @Test(arguments: targets)
    func nothingBreaksIt(_ target: FuzzTarget) throws {
        var effort = FuzzEffort.asked
        guard let seconds = effort.seconds else {
            var fuzzer = Fuzzer(target, seed: effort.seed)
            _ = try fuzzer.run(effort)
            return
        }
        effort.seconds = max(1, seconds)
        let path = "/tmp/lab-fuzz-\(target.name).input"
        let notes = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        defer {
            close(notes)
            unlink(path)
        }
        print("fuzz \(target.name): seed \(effort.seed), the input in hand is in \(path)")
        var fuzzer = Fuzzer(target, seed: effort.seed, notes: notes)
        print("fuzz \(target.name): \(try fuzzer.run(effort))")
    }

    /// The fuzzer itself finds what is easy to find: without this, a check that checks nothing would pass for ever.
    @Test func theFuzzerFindsAPlantedFault() {
        let target = FuzzTarget("planted", corpus: ["{\"a\": [1, 2]}"], words: ["[", "]", "{", "}", ","]) { input in
            if input.contains(UInt8(ascii: "[")), input.last == UInt8(ascii: "{") { throw Broken("found") }
            return true
        }
        var fuzzer = Fuzzer(target, seed: 1)
        #expect(throws: Broken.self) { try fuzzer.run(FuzzEffort(seed: 1, inputs: 5_000)) }
    }
}
