import Basics
import Client
import Document
import Kinds
import Linux

/// Removes the directories of volumes of the built-in class that were deleted, and enlarges those that are files.
///
/// The volume object is all that is known of a volume. It carries this node's name as a label, and a finalizer that
/// only this node's agent takes away: after the directory.
struct DirectoryKeeper: Sendable {
    let configuration: KubeletConfiguration
    let client: APIClient
    let pool: BlockingPool
    let events: EventQueue
    let world: World
    let log: Log

    /// Where the directory of a volume is; nil for volumes of other kinds, and for those that name another place.
    static func path(of volume: Document, root: String) -> String? {
        guard volume.text("metadata", "annotations", "pv.kubernetes.io/provisioned-by") == NodeDirectory.provisioner,
            let name = volume.text("metadata", "name"), !name.contains("/"), !name.hasPrefix("."),
            volume.text("spec", "local", "path") == "\(root)/\(name)"
        else { return nil }
        return "\(root)/\(name)"
    }

    static func size(of volume: Document) -> Int64 { Quantity.value(volume.at("spec", "capacity", "storage")) ?? 0 }

    enum Step: Equatable {
        case nothing
        /// A block device has the size that its object says.
        case grow(path: String, bytes: Int64)
        /// The data goes, then the finalizer.
        case remove(path: String)
        /// The data stays, for whoever wants to look at it.
        case letGo
    }

    static func step(_ volume: Document, root: String) -> Step {
        if volume.text("metadata", "deletionTimestamp") == nil, volume.text("spec", "volumeMode") == "Block",
            let path = path(of: volume, root: root)
        {
            return .grow(path: path, bytes: size(of: volume))
        }
        guard volume.text("metadata", "deletionTimestamp") != nil,
            volume.list("metadata", "finalizers").contains(where: { $0.string == NodeDirectory.finalizer }),
            volume.text("status", "phase") != "Bound"
        else { return .nothing }
        guard volume.text("spec", "persistentVolumeReclaimPolicy") == "Delete", let path = path(of: volume, root: root)
        else { return .letGo }
        return .remove(path: path)
    }

    func run() async throws {
        let volumes = Informer(
            client, .persistentVolumes, labelSelector: "\(NodeDirectory.nodeLabel)=\(configuration.nodeName)",
            world: world,
            log: log)
        let queue = WorkQueue(clock: world.clock)
        let changes = volumes.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await volumes.run() }
            group.addTask { for await change in changes where change.new != nil { queue.add(change.key) } }
            group.addTask {
                while let key = await queue.next() {
                    if let volume = volumes.get(key: key), await !self.attend(volume) {
                        queue.addRateLimited(key)
                    } else {
                        queue.forget(key)
                    }
                    queue.done(key)
                    try Task.checkCancellation()
                }
            }
            try await group.waitForAll()
        }
    }

    /// False when it has to be tried again.
    private func attend(_ volume: Document) async -> Bool {
        do {
            switch Self.step(volume, root: configuration.volumeDirectory) {
            case .nothing: return true
            case .grow(let path, let bytes):
                try await pool.run { try BlockFile.growIfThere(path, bytes: bytes) }
            case .remove(let path):
                try await pool.run {
                    // A pod that was removed while this agent was not there may have left it attached.
                    try LoopDevice.attached(to: path)?.detach()
                    try Files.removeTree(path)
                }
                try await letGo(volume)
            case .letGo: try await letGo(volume)
            }
            return true
        } catch let status as APIStatus where status.isNotFound {
            return true
        } catch let status as APIStatus where status.isConflict {
            return false
        } catch {
            let isDeletion = volume.text("metadata", "deletionTimestamp") != nil
            let reason = isDeletion ? "VolumeFailedDelete" : "VolumeResizeFailed"
            events.add(volume, type: "Warning", reason: reason, message: "\(error)", fieldPath: nil)
            return false
        }
    }

    private func letGo(_ volume: Document) async throws {
        let rest = volume.list("metadata", "finalizers").filter { $0.string != NodeDirectory.finalizer }
        _ = try await client.patch(
            .persistentVolumes, name: volume.text("metadata", "name") ?? "",
            [
                "metadata": [
                    "uid": volume.at("metadata", "uid") ?? .null,
                    "resourceVersion": volume.at("metadata", "resourceVersion") ?? .null,
                    "finalizers": Document(rest),
                ]
            ])
    }
}
