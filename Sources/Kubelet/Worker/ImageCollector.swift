import Basics
import Images
import Linux

/// Removes unused images when their file system gets full.
struct ImageCollector: Sendable {
    private let node: NodeContext
    private let plan: ImageCollectionPlan

    /// Nil where no fullness is too full.
    init?(_ node: NodeContext) {
        let configuration = node.configuration
        plan = ImageCollectionPlan(
            high: configuration.imageHighThresholdPercent, low: configuration.imageLowThresholdPercent)
        self.node = node
        guard plan.isOn else { return nil }
    }

    func run() async throws {
        while true {
            try await node.world.clock.sleep(for: node.configuration.imageCollectionInterval)
            do { try await collect() } catch let error as CancellationError { throw error } catch {
                node.log.warning("images: \(error)")
            }
        }
    }

    private func collect() async throws {
        guard let space = try await node.images.space(), let wanted = plan.bytesToFree(space) else { return }
        let limit = node.world.clock.now + (.zero - node.configuration.imageMinimumAge)
        let outcome = try await node.images.collect(bytes: wanted, unusedSince: limit)
        node.log.info("images: removed \(outcome.removed), \(outcome.freed) bytes")
        guard outcome.freed < wanted else { return }
        node.log.warning(
            "Failed to garbage collect required amount of images. Attempted to free \(wanted) bytes, "
                + "but only found \(outcome.freed) bytes eligible to free.")
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
