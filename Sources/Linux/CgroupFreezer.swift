import Glibc

/// Freezing all processes of a group and of the groups below it, until they are thawed.
///
/// v1 has a hierarchy of its own for it: `freezer.state` takes FROZEN or THAWED, and reads FREEZING in between.
/// v2 has it in each group: `cgroup.freeze` takes 1 or 0, `cgroup.events` says `frozen 1` once it is so.
extension Cgroup {
    private static let patience = 2_000

    private var freezer: (hierarchy: CgroupLayout.Hierarchy, isV1: Bool)? {
        if let hierarchy = layout.v1("freezer") { return (hierarchy, true) }
        return layout.unified.map { ($0, false) }
    }

    /// Returns once nothing in it runs any more. What does not freeze within some seconds is thawed again: EBUSY.
    public func freezeAll() throws {
        guard let (hierarchy, isV1) = freezer else { throw SystemError("freeze", path, errno: EOPNOTSUPP) }
        let (file, value) = isV1 ? ("freezer.state", "FROZEN") : ("cgroup.freeze", "1")
        try write(value, to: file, in: hierarchy)
        for _ in 0..<Self.patience {
            if isFrozen { return }
            // A v1 group that forks while it freezes may have to be asked again.
            if isV1 { try write(value, to: file, in: hierarchy) }
            usleep(1_000)
        }
        try? thawAll()
        throw SystemError("freeze", path, errno: EBUSY)
    }

    public func thawAll() throws {
        guard let (hierarchy, isV1) = freezer else { return }
        guard Files.exists(directory(in: hierarchy)) else { return }
        try isV1
            ? write("THAWED", to: "freezer.state", in: hierarchy) : write("0", to: "cgroup.freeze", in: hierarchy)
    }

    public var isFrozen: Bool {
        guard let (hierarchy, isV1) = freezer else { return false }
        let directory = directory(in: hierarchy)
        if isV1 { return (try? Files.text("\(directory)/freezer.state"))?.hasPrefix("FROZEN") == true }
        return (try? Files.text("\(directory)/cgroup.events"))?.split(separator: "\n").contains("frozen 1") == true
    }
}
