import Basics
import Client
import Document
import Glibc
import Linux

/// Makes, refreshes and removes the volumes of one pod. The directories are the state: nothing else is remembered.
struct VolumeManager: Sendable {
    let configuration: KubeletConfiguration
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
    func prepare(_ pod: Document, fields: DownwardFields) async throws -> Prepared {
        var result = Prepared()
        let projection = Projection(pod: pod, fields: fields, objects: objects, tokens: tokens)
        for volume in pod.list("spec", "volumes") {
            let name = volume.text("name") ?? ""
            do {
                if let projected = try await projection.files(of: volume) {
                    let atomic = AtomicDirectory(path: directory(pod, name))
                    let generation = "\(clock.now.nanoseconds)"
                    let files = projected.files
                    _ = try await pool.run { try atomic.write(files, generation: generation) }
                    result.paths[name] = VolumePath(path: atomic.path, readOnly: true)
                    if let at = projected.refreshAt { result.refreshAt = min(result.refreshAt ?? at, at) }
                } else {
                    result.paths[name] = try await plain(volume, name, pod)
                }
            } catch let error as CancellationError {
                throw error
            } catch {
                throw VolumeProblem("MountVolume.SetUp failed for volume \"\(name)\" : \(error)")
            }
        }
        return result
    }

    /// Whether some volume has to follow changes of the API.
    static func followsAPI(_ pod: Document) -> Bool {
        pod.list("spec", "volumes").contains { volume in
            ["configMap", "secret", "downwardAPI", "projected"].contains { volume[$0] != nil }
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
        try await pool.run { try Self.removePodDirectory(path) }
    }

    static func removePodDirectory(_ path: String) throws {
        // Deepest first; the mount table is the truth, also after a crash.
        let table = (try? Files.text("/proc/self/mountinfo")) ?? ""
        let below = table.split(separator: "\n").compactMap { line -> String? in
            let words = line.split(separator: " ")
            guard words.count > 4 else { return nil }
            let point = String(words[4]).replacing("\\040", with: " ")
            return point.hasPrefix(path + "/") ? point : nil
        }
        for point in below.reversed() {
            guard umount2(point, Int32(MNT_DETACH)) == 0 || errno == EINVAL || errno == ENOENT else {
                throw SystemError("umount", point, errno: errno)
            }
        }
        try Files.removeTree(path)
    }
}

enum EmptyDirectory {
    static func make(_ path: String, medium: String, limit: Int64?, group: UInt32?) throws {
        let isNew = !Files.exists(path)
        try Files.makeDirectories(path)
        switch medium {
        case "": break
        case "Memory":
            if try !isMountPoint(path) {
                let options = limit.map { "size=\($0),mode=777" } ?? "mode=777"
                guard mount("tmpfs", path, "tmpfs", UInt(MS_NOSUID | MS_NODEV), options) == 0 else {
                    throw SystemError("mount tmpfs", path, errno: errno)
                }
            } else if !isNew {
                return
            }
        default: throw VolumeProblem("emptyDir medium \"\(medium)\" is not supported by this node agent")
        }
        if let group {
            guard chown(path, .max, group) == 0 else { throw SystemError("chown", path, errno: errno) }
        }
        guard chmod(path, group == nil ? 0o777 : 0o2777) == 0 else { throw SystemError("chmod", path, errno: errno) }
    }

    private static func isMountPoint(_ path: String) throws -> Bool {
        var own = stat()
        var parent = stat()
        guard lstat(path, &own) == 0, lstat("\(path)/..", &parent) == 0 else {
            throw SystemError("stat", path, errno: errno)
        }
        return own.st_dev != parent.st_dev
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
