import Glibc

extension Cgroup {
    private static let freezeAttempts = 1_000

    /// Stops or continues every process of the group, and returns once it is so.
    public func setFrozen(_ frozen: Bool) throws {
        if layout.isV2, let unified = layout.unified {
            try write(frozen ? "1" : "0", to: "cgroup.freeze", in: unified)
        } else if let freezer = layout.v1("freezer") {
            try write(frozen ? "FROZEN" : "THAWED", to: "freezer.state", in: freezer)
        } else {
            throw SystemError("no freezer for", path, errno: EOPNOTSUPP)
        }
        // v1 finishes a half-frozen group when it is asked again, v2 by itself.
        for _ in 0..<Self.freezeAttempts {
            if try isFrozen() == frozen { return }
            usleep(1_000)
            if !layout.isV2, frozen, let freezer = layout.v1("freezer") {
                try write("FROZEN", to: "freezer.state", in: freezer)
            }
        }
        if frozen { try? setFrozen(false) }
        throw SystemError(frozen ? "freeze" : "thaw", path, errno: ETIMEDOUT)
    }

    /// Lets everything go on that is frozen in the group or in one below it: on v1 even SIGKILL waits for that.
    public func thawAll() throws {
        guard let hierarchy = layout.isV2 ? layout.unified : layout.v1("freezer") else { return }
        let (file, own, thawed) =
            layout.isV2 ? ("cgroup.freeze", "cgroup.freeze", "0") : ("freezer.state", "freezer.self_freezing", "THAWED")
        var pending = [directory(in: hierarchy)]
        while let directory = pending.popLast() {
            guard let state = try? Files.text("\(directory)/\(own)") else { continue }
            if state.hasPrefix("1") { try Self.write(Array(thawed.utf8), to: "\(directory)/\(file)") }
            pending += Files.subdirectories(of: directory).map { "\(directory)/\($0)" }
        }
    }

    /// False where there is no group or no freezer.
    public func isFrozen() throws -> Bool {
        if layout.isV2, let unified = layout.unified {
            guard let events = try? Files.text(directory(in: unified) + "/cgroup.events") else { return false }
            return events.split(separator: "\n").contains("frozen 1")
        }
        guard let freezer = layout.v1("freezer"),
            let state = try? Files.text(directory(in: freezer) + "/freezer.state")
        else { return false }
        return state.split(separator: "\n").first == "FROZEN"
    }

    /// The processes in the group and all groups below it.
    public func processes() throws -> [pid_t] {
        guard
            let hierarchy = layout.isV2
                ? layout.unified : layout.v1("pids") ?? layout.v1("devices") ?? layout.hierarchies.first
        else { return [] }
        var found: Set<pid_t> = []
        var pending = [directory(in: hierarchy)]
        while let directory = pending.popLast() {
            guard let text = try? Files.text("\(directory)/cgroup.procs") else { continue }
            found.formUnion(text.split(separator: "\n").compactMap { pid_t($0) })
            pending += Files.subdirectories(of: directory).map { "\(directory)/\($0)" }
        }
        return found.sorted()
    }
}
