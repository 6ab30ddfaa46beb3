import Document
import Glibc
import Linux

/// Disk space that a directory takes, without what is mounted below it.
enum DiskUsage {
    struct Amount: Sendable, Equatable {
        var bytes: Int64 = 0
        var inodes: Int64 = 0
    }

    /// A tree that is deeper or larger than this is not followed to its end: its owner is over any limit by then.
    private static let mostEntries = 2_000_000
    private static let deepest = 256

    static func below(_ path: String) -> Amount {
        var status = stat()
        guard lstat(path, &status) == 0 else { return Amount() }
        var amount = Amount()
        var linked: Set<UInt64> = []
        add(path, status, device: UInt64(status.st_dev), depth: 0, &amount, &linked)
        return amount
    }

    private static func add(
        _ path: String, _ status: stat, device: UInt64, depth: Int, _ amount: inout Amount, _ linked: inout Set<UInt64>
    ) {
        guard UInt64(status.st_dev) == device, amount.inodes < mostEntries, depth < deepest else { return }
        let kind = status.st_mode & S_IFMT
        // A file with several names counts once.
        if kind != S_IFDIR, status.st_nlink > 1, !linked.insert(UInt64(status.st_ino)).inserted { return }
        amount.bytes += Int64(status.st_blocks) * 512
        amount.inodes += 1
        guard kind == S_IFDIR else { return }
        for name in (try? Files.list(path)) ?? [] {
            var child = stat()
            guard lstat("\(path)/\(name)", &child) == 0 else { continue }
            add("\(path)/\(name)", child, device: device, depth: depth + 1, &amount, &linked)
        }
    }
}

/// The limits of the disk space that a pod may use, and what it does use.
struct LocalStorage {
    let pod: Document
    let configuration: KubeletConfiguration

    private static let resource = "ephemeral-storage"
    private var directory: String { configuration.podDirectory(PodIdentity.uid(pod)) }

    /// Whether there is anything to measure.
    static func isLimited(_ pod: Document) -> Bool {
        limitedVolumes(pod).first != nil
            || pod.list("spec", "containers").contains { $0.at("resources", "limits", resource) != nil }
    }

    private static func limitedVolumes(_ pod: Document) -> [(name: String, limit: Int64)] {
        pod.list("spec", "volumes").compactMap { volume in
            guard let empty = volume["emptyDir"], (empty.text("medium") ?? "").isEmpty,
                let limit = Quantity.value(empty["sizeLimit"]), limit > 0
            else { return nil }
            return (volume.text("name") ?? "", limit)
        }
    }

    struct Usage: Sendable, Equatable {
        var containers: [String: Int64] = [:]
        var volumes: [String: Int64] = [:]
        var total: Int64 { containers.values.reduce(0, +) + volumes.values.reduce(0, +) }
    }

    func measure() -> Usage {
        var usage = Usage()
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            for container in pod.list("spec", list) {
                let name = container.text("name") ?? ""
                usage.containers[name] =
                    DiskUsage.below("\(directory)/containers/\(name)").bytes
                    + DiskUsage.below("\(configuration.logDirectory(of: pod))/\(name)").bytes
            }
        }
        for volume in pod.list("spec", "volumes") where volume["emptyDir"] != nil {
            guard (volume.text("emptyDir", "medium") ?? "").isEmpty else { continue }
            let name = volume.text("name") ?? ""
            usage.volumes[name] = DiskUsage.below("\(directory)/volumes/\(name)").bytes
        }
        return usage
    }

    /// Why the pod has to go; nil while it keeps to its limits.
    static func excess(_ pod: Document, _ usage: Usage) -> String? {
        for (name, limit) in limitedVolumes(pod) where (usage.volumes[name] ?? 0) > limit {
            let shown = pod.list("spec", "volumes").first { $0.text("name") == name }?.text("emptyDir", "sizeLimit")
            return "Usage of EmptyDir volume \"\(name)\" exceeds the limit \"\(shown ?? Quantity.binary(limit))\". "
        }
        let containers = pod.list("spec", "containers")
        for container in containers {
            guard let limit = Quantity.value(container.at("resources", "limits", resource)), limit > 0 else { continue }
            let name = container.text("name") ?? ""
            if (usage.containers[name] ?? 0) > limit {
                return "Container \(name) exceeded its local ephemeral storage limit "
                    + "\"\(container.text("resources", "limits", resource) ?? Quantity.binary(limit))\". "
            }
        }
        let limits = containers.compactMap { Quantity.value($0.at("resources", "limits", resource)) }
        guard !limits.isEmpty, limits.count == containers.count else { return nil }
        let total = limits.reduce(0, +)
        guard usage.total > total else { return nil }
        return "Pod ephemeral local storage usage exceeds the total limit of containers \(Quantity.binary(total)). "
    }
}
