import Basics
import Images
import Linux
import Synchronization
import Testing

@testable import Kubelet

/// Images with the time of their last use, on a file system of a hundred bytes.
private final class Shelf: ImageSource {
    struct State {
        var images: [(name: String, used: Timestamp, bytes: Int64)]
        var failures = 0
        var rounds = 0
    }

    let state: Mutex<State>

    init(_ images: [(name: String, used: Timestamp, bytes: Int64)]) { state = Mutex(State(images: images)) }

    var names: [String] { state.withLock { $0.images.map(\.name).sorted() } }

    func resolve(_ reference: String) async throws -> Image? { nil }
    func list() async throws -> [Image] { [] }
    func pull(_ reference: String, credentials: CredentialSet) async throws -> Image {
        throw ImageError(reference, "there is no registry")
    }

    func space() async throws -> StoreSpace? {
        try state.withLock { state in
            state.rounds += 1
            if state.failures > 0 {
                state.failures -= 1
                throw ImageError("space", "not now")
            }
            return StoreSpace(capacity: 100, available: 100 - state.images.reduce(0) { $0 + $1.bytes })
        }
    }

    func collect(bytes: Int64, unusedSince limit: Timestamp) async throws -> PruneOutcome {
        state.withLock { state in
            var outcome = PruneOutcome()
            for image in state.images.sorted(by: { $0.used < $1.used }) {
                guard outcome.freed < bytes, image.used <= limit else { break }
                state.images.removeAll { $0.name == image.name }
                outcome.removed.append(image.name)
                outcome.freed += image.bytes
            }
            return outcome
        }
    }
}

/// Stands still, but for the sleeps of whoever waits: the collector's, so many.
private final class RoundClock: WorldClock {
    let left: Mutex<Int>
    let slept = Mutex<[Duration]>([])
    let now = Timestamp(seconds: 100_000)
    var uptime: Duration { .zero }

    init(rounds: Int) { left = Mutex(rounds) }

    func sleep(for duration: Duration) async throws {
        slept.withLock { $0.append(duration) }
        let goes = left.withLock { left in
            left -= 1
            return left >= 0
        }
        guard goes else { throw CancellationError() }
    }
}

@Suite struct ImageCollectorTests {
    private func configuration(_ text: String) throws -> KubeletConfiguration {
        var configuration = KubeletConfiguration(nodeName: "n", nodeIP: .loopback)
        let head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
        try KubeletSettingsFile.apply(Array((head + text).utf8), to: &configuration)
        return configuration
    }

    private func run(_ text: String, _ shelf: Shelf, rounds: Int = 1) async throws -> [String] {
        let clock = RoundClock(rounds: rounds)
        let settings = try configuration(text)
        let collector = try #require(ImageCollector(settings, shelf, clock: clock, log: .silent))
        await #expect(throws: CancellationError.self) { try await collector.run() }
        #expect(clock.slept.withLock { $0 } == Array(repeating: settings.imageCollectionInterval, count: rounds + 1))
        return shelf.names
    }

    /// Used 10, 1000 and 3000 seconds ago.
    private func shelf(_ bytes: Int64) -> Shelf {
        Shelf([
            ("new", Timestamp(seconds: 99_990), bytes), ("old", Timestamp(seconds: 97_000), bytes),
            ("middle", Timestamp(seconds: 99_000), bytes),
        ])
    }

    @Test func aFullDiskLosesTheLongestUnused() async throws {
        let limits = "imageGCHighThresholdPercent: 85\nimageGCLowThresholdPercent: 60\n"
        #expect(try await run(limits, shelf(28)) == ["middle", "new", "old"])
        #expect(try await run(limits, shelf(29)) == ["middle", "new"])
        let lower = "imageGCHighThresholdPercent: 85\nimageGCLowThresholdPercent: 40\n"
        #expect(try await run(lower, shelf(29)) == ["new"])
        // What was used lately stays, however full it is.
        let least = "imageGCHighThresholdPercent: 85\nimageGCLowThresholdPercent: 0\nimageMinimumGCAge: 10m\n"
        #expect(try await run(least, shelf(33)) == ["new"])
    }

    @Test func whatNobodyUsedForLongGoesWhateverRoomThereIs() async throws {
        #expect(try await run("imageMaximumGCAge: 40m\n", shelf(1)) == ["middle", "new"])
        #expect(try await run("imageMaximumGCAge: 1h\n", shelf(1)) == ["middle", "new", "old"])
        #expect(
            try await run("imageGCHighThresholdPercent: 99\nimageMaximumGCAge: 0s\n", shelf(1)) == [
                "middle", "new", "old",
            ])
        // Also where no fullness is too full.
        #expect(try await run("imageGCHighThresholdPercent: 100\nimageMaximumGCAge: 10s\n", shelf(33)) == [])
    }

    @Test func oneFailureEndsNothing() async throws {
        let shelf = shelf(29)
        shelf.state.withLock { $0.failures = 2 }
        let limits = "imageGCHighThresholdPercent: 85\nimageGCLowThresholdPercent: 60\n"
        #expect(try await run(limits, shelf, rounds: 4) == ["middle", "new"])
        #expect(shelf.state.withLock { $0.rounds } == 4)
    }

    @Test func withoutALimitThereIsNothingToDo() throws {
        let settings = try configuration("imageGCHighThresholdPercent: 100\n")
        #expect(ImageCollector(settings, shelf(33), clock: RoundClock(rounds: 0), log: .silent) == nil, "no loop runs")
    }
}
