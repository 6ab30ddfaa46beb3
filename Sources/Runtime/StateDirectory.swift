import Glibc
import Linux

/// The files of a sandbox: `control.sock` and `<id>.exit` are the supervisor's, `<id>.cgroup` are ours:
/// which control group was made for the process, so that it is removed even if nobody alive remembers it.
/// A line is `PATH INODE`; the inode tells the group from a later one of the same path.
struct StateDirectory {
    let path: String

    /// No process can have this id.
    static let sandboxOwner = "@sandbox"

    init(_ path: String) { self.path = path }

    private func record(of owner: String) -> String { "\(path)/\(owner).cgroup" }

    /// Makes the group and notes it if it was not there before.
    @discardableResult
    func create(_ group: Cgroup, owner: String) throws -> Bool {
        guard !group.exists else {
            try group.create()
            return false
        }
        try group.create()
        do {
            try note(Array("\(group.path) \(group.identity ?? 0)\n".utf8), in: record(of: owner))
        } catch {
            try? group.remove()
            throw error
        }
        return true
    }

    /// Without fsync: neither the group nor the sandbox survives a crash of the machine.
    private func note(_ bytes: [UInt8], in path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SystemError("create", path, errno: errno) }
        defer { close(file) }
        try Files.writeAll(bytes, to: file, name: path)
    }

    /// Removes the group that was made for `owner`, if any. `prefix` as in `Cgroup`.
    func removeGroup(of owner: String, layout: CgroupLayout, seenBy prefix: String = "") throws {
        guard let text = try? Files.text(record(of: owner)) else { return }
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
        if words.count == 2, let inode = UInt64(words[1]) {
            let group = try Cgroup(String(words[0]), layout: layout, seenBy: prefix)
            if group.identity == inode { try group.remove() }
        }
        unlink(record(of: owner))
    }

    private func owners() -> [String] {
        let names = (try? Files.list(path)) ?? []
        let suffix = ".cgroup"
        return names.filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) }
    }

    /// Removes control groups and records, but not the directory. The order does not matter: a group goes with all
    /// below it, and what is gone already is no error.
    func forgetAll() throws {
        guard Files.exists(path) else { return }
        let layout = try CgroupLayout.ofProcess()
        for owner in owners() { try removeGroup(of: owner, layout: layout) }
        for name in try Files.list(path)
        where name == Control.socketName || name.hasSuffix(".exit") || name.hasSuffix(".exit~") {
            unlink("\(path)/\(name)")
        }
    }

    func removeAll() throws {
        try forgetAll()
        if Files.exists(path) { try Files.removeTree(path) }
    }
}
