import Basics
import Images
import Linux

/// Removes unused images when their file system gets full, and those that nobody has used for too long.
struct ImageCollector: Sendable {
    private let configuration: KubeletConfiguration
    private let images: any ImageSource
    private let clock: any WorldClock
    private let log: Log
    private let plan: ImageCollectionPlan

    init?(_ node: NodeContext) {
        self.init(node.configuration, node.images, clock: node.world.clock, log: node.log)
    }

    /// Nil where no fullness is too full and no age too high.
    init?(_ configuration: KubeletConfiguration, _ images: any ImageSource, clock: any WorldClock, log: Log) {
        plan = ImageCollectionPlan(
            high: configuration.imageHighThresholdPercent, low: configuration.imageLowThresholdPercent)
        self.configuration = configuration
        self.images = images
        self.clock = clock
        self.log = log
        guard plan.isOn || configuration.imageMaximumAge != nil else { return nil }
    }

    func run() async throws {
        while true {
            try await clock.sleep(for: configuration.imageCollectionInterval)
            do { try await collect() } catch let error as CancellationError { throw error } catch {
                log.warning("images: \(error)")
            }
        }
    }

    func collect() async throws {
        if let age = configuration.imageMaximumAge { try await collect(.max, unusedFor: age) }
        guard plan.isOn, let space = try await images.space(), let wanted = plan.bytesToFree(space) else { return }
        let freed = try await collect(wanted, unusedFor: configuration.imageMinimumAge)
        guard freed < wanted else { return }
        log.warning(
            "Failed to garbage collect required amount of images. Attempted to free \(wanted) bytes, "
                + "but only found \(freed) bytes eligible to free.")
    }

    @discardableResult
    private func collect(_ bytes: Int64, unusedFor age: Duration) async throws -> Int64 {
        let outcome = try await images.collect(
            bytes: bytes, unusedSince: clock.now + (.zero - age))
        if !outcome.removed.isEmpty {
            log.info("images: removed \(outcome.removed), \(outcome.freed) bytes")
        }
        return outcome.freed
    }
}

/// When there is too little room, and how much is enough.
struct ImageCollectionPlan: Sendable, Equatable {
    var high: Int
    var low: Int

    var isOn: Bool { high < 100 && low <= high && low >= 0 }

    /// Nil below the upper threshold; above it, what is missing to the lower one.
    func bytesToFree(_ space: StoreSpace) -> Int64? {
        guard space.capacity > 0 else { return nil }
        let used = 100 - Int(space.available * 100 / space.capacity)
        guard used >= high else { return nil }
        return space.capacity * Int64(100 - low) / 100 - space.available
    }
}
