import Glibc

/// One reader under attack: what it is fed with, and what must hold whatever it is fed.
struct FuzzTarget: Sendable, CustomStringConvertible {
    let name: String
    /// Inputs to begin with. Those that once broke something stay here for ever.
    let corpus: [[UInt8]]
    /// Pieces that mean something to the reader, from which inputs are put together.
    let words: [[UInt8]]
    /// True where the reader took the input. Throws `Broken` where a promise does not hold.
    let check: @Sendable ([UInt8]) throws -> Bool

    init(
        _ name: String, corpus: [String], words: [String], check: @escaping @Sendable ([UInt8]) throws -> Bool
    ) {
        self.init(name, bytes: corpus.map { Array($0.utf8) }, words: words.map { Array($0.utf8) }, check: check)
    }

    init(
        _ name: String, bytes: [[UInt8]], words: [[UInt8]], check: @escaping @Sendable ([UInt8]) throws -> Bool
    ) {
        self.name = name
        corpus = bytes
        self.words = words
        self.check = check
    }

    var description: String { name }
}

/// A promise that did not hold.
struct Broken: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// How much is tried: a fixed number of inputs from a fixed seed, or for a time from a seed that is told.
struct FuzzEffort {
    var seed: UInt64
    /// Per reader.
    var inputs: Int
    /// Per reader; nil for no end before `inputs`.
    var seconds: Int?

    /// `LAB_FUZZ_SECONDS` asks for the long run; `LAB_FUZZ_SEED` repeats one.
    static let asked: FuzzEffort = {
        func number(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }
        guard let seconds = number("LAB_FUZZ_SECONDS") else {
            return FuzzEffort(seed: number("LAB_FUZZ_SEED") ?? 1, inputs: 700, seconds: nil)
        }
        return FuzzEffort(
            seed: number("LAB_FUZZ_SEED") ?? UInt64.random(in: 1...999_999_999), inputs: .max, seconds: Int(seconds))
    }()
}

/// The same numbers in every run (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Makes inputs by damaging known ones and by putting words together, keeps those that were taken, and checks each.
struct Fuzzer {
    struct Report: CustomStringConvertible {
        var inputs = 0
        var taken = 0
        var slowest: Duration = .zero
        var slowestInput: [UInt8] = []

        var description: String {
            "\(inputs) inputs, \(taken) taken, the slowest took \(slowest): \(Fuzzer.shown(slowestInput))"
        }
    }

    /// What no input of this size may cost, by far: a reader that takes longer has gone astray.
    private static let longest: Duration = .seconds(20)
    private static let poolLimit = 256
    private static let lengthLimit = 8 << 10

    private let target: FuzzTarget
    private var random: Seeded
    private var pool: [[UInt8]]
    /// Where the input in hand is kept, so that it survives the process if it ends it.
    private let notes: Int32

    init(_ target: FuzzTarget, seed: UInt64, notes: Int32 = -1) {
        self.target = target
        self.notes = notes
        pool = target.corpus
        random = Seeded(state: target.name.utf8.reduce(seed) { $0 &* 31 &+ UInt64($1) })
    }

    mutating func run(_ effort: FuzzEffort) throws -> Report {
        var report = Report()
        for input in target.corpus { try check(input, &report) }
        let start = time(nil)
        while report.inputs < effort.inputs {
            if let seconds = effort.seconds, report.inputs % 16 == 0, time(nil) - start >= seconds { break }
            let input = next()
            if try check(input, &report), input.count < 1_024 { keep(input) }
        }
        return report
    }

    @discardableResult
    private func check(_ input: [UInt8], _ report: inout Report) throws -> Bool {
        if notes >= 0 {
            ftruncate(notes, 0)
            pwrite(notes, input, input.count, 0)
        }
        let before = Self.processorTime
        let taken: Bool
        do { taken = try target.check(input) } catch {
            throw Broken("\(error)\ninput: \(Self.shown(input))")
        }
        let cost = Self.processorTime - before
        if cost > report.slowest { (report.slowest, report.slowestInput) = (cost, input) }
        guard cost < Self.longest else { throw Broken("took \(cost)\ninput: \(Self.shown(input))") }
        report.inputs += 1
        if taken { report.taken += 1 }
        return taken
    }

    /// Of this thread: what the machine does besides does not count.
    private static var processorTime: Duration {
        var now = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
        return .seconds(now.tv_sec) + .nanoseconds(now.tv_nsec)
    }

    private mutating func keep(_ input: [UInt8]) {
        if pool.count < Self.poolLimit {
            pool.append(input)
        } else {
            // The first ones were written by hand and stay.
            let place = Int.random(in: target.corpus.count..<Self.poolLimit, using: &random)
            pool[place] = input
        }
    }

    // MARK: Inputs

    private mutating func next() -> [UInt8] {
        var input = Int.random(in: 0..<4, using: &random) == 0 ? sentence() : pool.randomElement(using: &random) ?? []
        for _ in 0..<Int.random(in: 1...4, using: &random) { damage(&input) }
        // Now and then something deep or long.
        if Int.random(in: 0..<40, using: &random) == 0 { `repeat`(&input) }
        return input.count <= Self.lengthLimit * 8 ? input : Array(input.prefix(Self.lengthLimit * 8))
    }

    private mutating func sentence() -> [UInt8] {
        var result: [UInt8] = []
        for _ in 0..<Int.random(in: 1...24, using: &random) {
            result += target.words.randomElement(using: &random) ?? []
        }
        return result
    }

    private mutating func range(_ input: [UInt8]) -> Range<Int> {
        let first = Int.random(in: 0...input.count, using: &random)
        return first..<Int.random(in: first...min(input.count, first + 64), using: &random)
    }

    private mutating func damage(_ input: inout [UInt8]) {
        let place = range(input)
        switch Int.random(in: 0..<8, using: &random) {
        case 0: input.removeSubrange(place)
        case 1: input.insert(UInt8.random(in: 0...255, using: &random), at: place.lowerBound)
        case 2:
            if place.lowerBound < input.count {
                input[place.lowerBound] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
        case 3: input.insert(contentsOf: input[place], at: place.lowerBound)
        case 4: input.removeLast(input.count - place.lowerBound)
        case 5:
            let other = pool.randomElement(using: &random) ?? []
            let part = range(other)
            input.replaceSubrange(place, with: other[part])
        default:
            let word = target.words.randomElement(using: &random) ?? []
            if Bool.random(using: &random) {
                input.insert(contentsOf: word, at: place.lowerBound)
            } else {
                input.replaceSubrange(place, with: word)
            }
        }
        if input.count > Self.lengthLimit { input.removeLast(input.count - Self.lengthLimit) }
    }

    private mutating func `repeat`(_ input: inout [UInt8]) {
        guard let word = target.words.randomElement(using: &random), !word.isEmpty else { return }
        let count = [60, 300, 1_100, 9_000].randomElement(using: &random) ?? 60
        var long: [UInt8] = []
        for _ in 0..<min(count, Self.lengthLimit * 8 / word.count) { long += word }
        input.insert(contentsOf: long, at: Int.random(in: 0...input.count, using: &random))
    }

    /// An input as Swift could read it back, and not more of it than a message can hold.
    static func shown(_ bytes: [UInt8]) -> String {
        let head = bytes.prefix(2_000)
        let rest = bytes.count > head.count ? "… (\(bytes.count) bytes)" : ""
        if let text = String(validating: head, as: UTF8.self) { return text.debugDescription + rest }
        return "\(Array(head))" + rest
    }
}
