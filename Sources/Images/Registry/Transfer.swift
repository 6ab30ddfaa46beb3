import Basics
import Synchronization

/// How far one layer, or another blob, has come.
public struct TransferProgress: Sendable, Equatable {
    public enum Phase: String, Sendable {
        case waiting = "Waiting"
        case downloading = "Downloading"
        case unpacking = "Extracting"
        case present = "Already exists"
        case pulled = "Pull complete"
        case preparing = "Preparing"
        case uploading = "Pushing"
        case known = "Layer already exists"
        case mounted = "Mounted"
        case pushed = "Pushed"
    }

    /// The first twelve digits of the digest.
    public var id: String
    public var phase: Phase
    public var done: Int64
    public var total: Int64

    init(_ digest: Digest, _ phase: Phase, _ done: Int64 = 0, of total: Int64 = 0) {
        id = String(digest.hex.prefix(12))
        self.phase = phase
        self.done = done
        self.total = total
    }
}

public typealias ProgressHandler = @Sendable (TransferProgress) -> Void

extension Sequence where Element: Sendable {
    /// Runs `body` for every element, at most `bound` at the same time; the first failure ends the others.
    func inParallel(atMost bound: Int, _ body: @escaping @Sendable (Element) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            var running = 0
            for element in self {
                if running >= bound {
                    try await group.next()
                    running -= 1
                }
                group.addTask { try await body(element) }
                running += 1
            }
            try await group.waitForAll()
        }
    }
}
