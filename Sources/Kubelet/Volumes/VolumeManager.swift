import Basics
import Client
import Document
import Glibc
import Images
import Linux

/// Makes, refreshes and removes the volumes of one pod. The directories are the state: nothing else is remembered.
struct VolumeManager: Sendable {
    let configuration: KubeletConfiguration
    let client: APIClient
    let objects: ReferencedObjects
    let tokens: TokenSource
    let pool: BlockingPool
    let clock: any WorldClock

    struct Prepared: Sendable {
        var paths: [String: VolumePath] = [:]
        var refreshAt: Timestamp?
    }

    private func directory(_ pod: Document, _ volume: String) -> String {
        "\(configuration.podDirectory(pod.text("metadata", "uid") ?? ""))/volumes/\(volume)"
    }

    /// Makes what is missing and brings API volumes up to date; safe to repeat.
    /// `images` has the images of those volumes that are images, by the volumes' names.
    func prepare(
        _ pod: Document, fields: DownwardFields, images: [String: Image] = [:]
    ) async throws -> Prepared {
        var result = Prepared()
        let projection = Projection(pod: pod, fields: fields, objects: objects, tokens: tokens)
        // One that fails holds up no other; the first problem is told.
        var problem: VolumeProblem?
        for volume in pod.list("spec", "volumes") {
            let name = volume.text("name") ?? ""
            do {
                if let projected = try await projection.files(of: volume) {
                    let group = pod.number("spec", "securityContext", "fsGroup")
                    let atomic = AtomicDirectory(
                        path: directory(pod, name), group: group.map { UInt32(truncatingIfNeeded: $0) })
                    let generation = "\(clock.now.nanoseconds)"
                    let files = projected.files
                    let isSecret = Self.isSecret(volume)
                    _ = try await pool.run {
                        if isSecret { try EmptyDirectory.mountMemory(atomic.path, limit: nil) }
                        return try atomic.write(files, generation: generation)
                    }
                    result.paths[name] = VolumePath(path: atomic.path, readOnly: true)
                    if let at = projected.refreshAt { result.refreshAt = min(result.refreshAt ?? at, at) }
                } else if let claim = ClaimResolver.claimName(volume, pod) {
                    result.paths[name] = try await claimed(volume, claim, name, pod)
                } else if volume["image"] != nil {
                    let path = directory(pod, name)
                    let layers = images[name]?.layerDirectories ?? []
                    try await pool.run { try ImageVolume.mount(layers, at: path) }
                    result.paths[name] = VolumePath(path: path, readOnly: true)
                } else {
                    result.paths[name] = try await plain(volume, name, pod)
                }
            } catch let error as CancellationError {
                throw error
            } catch let unmounted as UnmountedVolume {
                problem = problem ?? VolumeProblem(unmounted.description)
            } catch {
                problem = problem ?? VolumeProblem("MountVolume.SetUp failed for volume \"\(name)\" : \(error)")
            }
        }
        if let problem { throw problem }
        return result
    }

    /// Whether some volume shows the pod to itself.
    static func showsPod(_ pod: Document) -> Bool {
        pod.list("spec", "volumes").contains { volume in
            volume["downwardAPI"] != nil
                || volume.list("projected", "sources").contains { $0["downwardAPI"] != nil }
        }
    }

    /// What is secret never touches the disk.
    private static func isSecret(_ volume: Document) -> Bool {
        ["secret", "projected", "downwardAPI"].contains { volume[$0] != nil }
    }

    /// A persistent volume. Once it was found, a link in the pod's directory keeps where it is: the pod goes on with
    /// it whatever becomes of the claim.
    private func claimed(
        _ volume: Document, _ claim: String, _ name: String, _ pod: Document
    ) async throws -> VolumePath {
        let link = directory(pod, name)
        let readOnly = volume.flag("persistentVolumeClaim", "readOnly") == true
        if let path = AtomicDirectory.link(link) { return try await usable(path, readOnly: readOnly) }
        let persistent: ClaimedVolume
        do { persistent = try await ClaimResolver(client: client).resolve(volume, claim: claim, pod: pod) } catch {
            throw UnmountedVolume(name: name, problem: "\(error)")
        }
        let setup = PersistentVolumeSetup(configuration: configuration, client: client, pool: pool)
        let path: String
        do { path = try await setup.path(of: persistent, pod: pod) } catch let problem as VolumeProblem {
            // Problems that name their operation say all.
            let isWhole = ["MountVolume.", "MapVolume."].contains { problem.description.hasPrefix($0) }
            throw isWhole
                ? UnmountedVolume(whole: problem.description)
                : UnmountedVolume(
                    whole: "MountVolume.SetUp failed for volume \"\(persistent.name)\" : \(problem.description)")
        }
        try await pool.run {
            if let slash = link.lastIndex(of: "/") { try Files.makeDirectories(String(link[..<slash])) }
            guard symlink(path, link) == 0 || errno == EEXIST else { throw SystemError("symlink", link, errno: errno) }
        }
        return try await usable(path, readOnly: readOnly)
    }

    /// What a pod's link leads to: a directory, or a device of this moment.
    private func usable(_ path: String, readOnly: Bool) async throws -> VolumePath {
        try await pool.run { [root = configuration.volumeDirectory] in
            let shown = BlockFile.isOne(path, root: root) ? try BlockFile.attach(path).path : path
            return VolumePath(path: shown, readOnly: readOnly, device: BlockDevice(shown))
        }
    }

    private func plain(_ volume: Document, _ name: String, _ pod: Document) async throws -> VolumePath {
        if let empty = volume["emptyDir"] {
            let path = directory(pod, name)
            let group = pod.number("spec", "securityContext", "fsGroup").map { UInt32(truncatingIfNeeded: $0) }
            let limit = Quantity.value(empty["sizeLimit"])
            try await pool.run {
                try EmptyDirectory.make(path, medium: empty.text("medium") ?? "", limit: limit, group: group)
            }
            return VolumePath(path: path)
        }
        if let host = volume["hostPath"] {
            let path = host.text("path") ?? ""
            let type = host.text("type") ?? ""
            try await pool.run { try HostPath.check(path, type: type) }
            return VolumePath(path: path)
        }
        let kind = volume.members.first { $0.key != "name" }?.key ?? "none"
        throw VolumeProblem("volumes of kind \"\(kind)\" are not supported by this node agent")
    }

    /// Unmounts and removes everything below the pod's directory.
    func remove(uid: String) async throws {
        objects.release(user: uid)
        await tokens.forget(pod: uid)
        let path = configuration.podDirectory(uid)
        try await pool.run { [root = configuration.volumeDirectory] in
            try Self.removePodDirectory(path, volumes: root)
        }
    }

    /// `volumes` is the directory of the built-in class's volumes.
    static func removePodDirectory(_ path: String, volumes: String) throws {
        // Deepest first.
        let below = MountTable.points().filter { $0.hasPrefix(path + "/") }
        for point in below.reversed() {
            guard umount2(point, Int32(MNT_DETACH)) == 0 || errno == EINVAL || errno == ENOENT else {
                throw SystemError("umount", point, errno: errno)
            }
        }
        let blockFiles = BlockFile.files(ofPod: path, root: volumes)
        try Files.removeTree(path)
        let pods = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        for file in blockFiles { try BlockFile.detachUnused(file, pods: pods) }
    }
}

/// A volume that could not be found, in the words in which the pod's event tells it.
struct UnmountedVolume: Error, Sendable, CustomStringConvertible {
    let description: String

    init(whole: String) { description = whole }

    init(name: String, problem: String) {
        description =
            "Unable to attach or mount volumes: unmounted volumes=[\(name)], unattached volumes=[], failed to process "
            + "volumes=[\(name)]: \(problem)"
    }
}

/// Directories that pods begin with empty. They are made once, and then belong to their pods: what a container makes of
/// the directory's own mode and owner stays.
enum EmptyDirectory {
    static func make(_ path: String, medium: String, limit: Int64?, group: UInt32?) throws {
        switch medium {
        case "": try makeOnDisk(path, group: group)
        case "Memory": try mountMemory(path, limit: limit, group: group)
        default: throw VolumeProblem("emptyDir medium \"\(medium)\" is not supported by this node agent")
        }
    }

    /// Under another name until it is as it shall be: where the directory is, it is finished.
    private static func makeOnDisk(_ path: String, group: UInt32?) throws {
        if Files.exists(path) { return }
        let unfinished = "\(path).unfinished"
        try Files.makeDirectories(unfinished)
        if let group {
            guard chown(unfinished, .max, group) == 0 else { throw SystemError("chown", unfinished, errno: errno) }
        }
        guard chmod(unfinished, group == nil ? 0o777 : 0o2777) == 0 else {
            throw SystemError("chmod", unfinished, errno: errno)
        }
        guard rename(unfinished, path) == 0 else { throw SystemError("rename", unfinished, errno: errno) }
    }

    /// Makes the directory one in memory; false when it is that already.
    @discardableResult
    static func mountMemory(_ path: String, limit: Int64?, group: UInt32? = nil) throws -> Bool {
        try Files.makeDirectories(path)
        if try isMountPoint(path) { return false }
        var options = group.map { "mode=2777,gid=\($0)" } ?? "mode=777"
        if let limit { options += ",size=\(limit)" }
        guard mount("tmpfs", path, "tmpfs", UInt(MS_NOSUID | MS_NODEV), options) == 0 else {
            throw SystemError("mount tmpfs", path, errno: errno)
        }
        return true
    }

    /// Of a file system of its own.
    static func isMountPoint(_ path: String) throws -> Bool {
        var own = stat()
        var parent = stat()
        guard lstat(path, &own) == 0, lstat("\(path)/..", &parent) == 0 else {
            throw SystemError("stat", path, errno: errno)
        }
        return own.st_dev != parent.st_dev
    }
}

/// What is mounted, in the kernel's words. The mount table is the truth, also after a crash.
enum MountTable {
    static func points() -> [String] {
        let table = (try? Files.text("/proc/self/mountinfo")) ?? ""
        return table.utf8.split(separator: UInt8(ascii: "\n")).compactMap { line -> String? in
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            guard words.count > 4, let point = String(words[4]) else { return nil }
            return words[4].contains(UInt8(ascii: "\\")) ? point.replacing("\\040", with: " ") : point
        }
    }
}

/// `hostPath` with the checks that its `type` asks for.
enum HostPath {
    static func check(_ path: String, type: String) throws {
        guard path.hasPrefix("/"), !path.split(separator: "/").contains("..") else {
            throw VolumeProblem("hostPath \"\(path)\" is no absolute path without \"..\"")
        }
        var status = stat()
        let exists = stat(path, &status) == 0
        let kind = status.st_mode & S_IFMT
        func demand(_ wanted: mode_t, _ what: String) throws {
            guard exists, kind == wanted else {
                throw VolumeProblem("hostPath type check failed: \(path) is not \(what)")
            }
        }
        switch type {
        case "": if !exists { try Files.makeDirectories(path) }
        case "DirectoryOrCreate":
            if exists { try demand(S_IFDIR, "a directory") } else { try Files.makeDirectories(path) }
        case "Directory": try demand(S_IFDIR, "a directory")
        case "FileOrCreate":
            if exists { try demand(S_IFREG, "a file") } else { try PlainFile.write([], to: path, mode: 0o644) }
        case "File": try demand(S_IFREG, "a file")
        case "Socket": try demand(S_IFSOCK, "a socket file")
        case "CharDevice": try demand(S_IFCHR, "a character device")
        case "BlockDevice": try demand(S_IFBLK, "a block device")
        default: throw VolumeProblem("hostPath type \"\(type)\" is not known")
        }
    }
}
