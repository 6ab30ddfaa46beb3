/// What fields of a configuration must say together.
struct ConfigurationRules {
    private let configuration: ContainerConfiguration

    init(_ configuration: ContainerConfiguration) { self.configuration = configuration }

    func check() throws {
        try user()
        try namespaces()
        for name in configuration.sysctls.keys.sorted() { try sysctl(name) }
        for (index, mount) in configuration.mounts.enumerated() { try check(mount, "mounts[\(index)]") }
        guard configuration.rootPath.utf8.count < 4_096 else { throw ConfigurationError("root.path", "is too long") }
    }

    private func has(_ kind: NamespaceKind) -> Bool { configuration.namespaces[kind] != nil }

    private func user() throws {
        let maps = configuration.idMaps
        if configuration.namespaces[.user] == .new {
            guard !maps.uids.isEmpty else {
                throw ConfigurationError("linux.uidMappings", "a new user namespace needs at least one")
            }
            guard !maps.gids.isEmpty else {
                throw ConfigurationError("linux.gidMappings", "a new user namespace needs at least one")
            }
        } else if maps != IDMaps(), !has(.user) {
            throw ConfigurationError(
                maps.uids.isEmpty ? "linux.gidMappings" : "linux.uidMappings", "there is no user namespace for it")
        }
    }

    private func namespaces() throws {
        let c = configuration
        func need(_ kind: NamespaceKind, for field: String, if wanted: Bool) throws {
            guard !wanted || has(kind) else {
                throw ConfigurationError(field, "needs a \(kind.rawValue) namespace in linux.namespaces")
            }
        }
        try need(.uts, for: "hostname", if: c.hostname != nil)
        try need(.uts, for: "domainname", if: c.domainName != nil)
        try need(.mount, for: "mounts", if: !c.mounts.isEmpty)
        try need(.mount, for: "linux.maskedPaths", if: !c.maskedPaths.isEmpty)
        try need(.mount, for: "linux.readonlyPaths", if: !c.readOnlyPaths.isEmpty)
        try need(.mount, for: "root.readonly", if: c.isRootReadOnly)
        try need(.mount, for: "linux.devices", if: !c.devices.isEmpty)
        try need(.mount, for: "linux.rootfsPropagation", if: c.rootPropagation != nil)
        guard c.timeOffsets.isEmpty || c.namespaces[.time] == .new else {
            throw ConfigurationError("linux.timeOffsets", "needs a new time namespace in linux.namespaces")
        }
        if let host = c.hostname, host.utf8.count > 64 {
            throw ConfigurationError("hostname", "is longer than 64 bytes")
        }
        if let domain = c.domainName, domain.utf8.count > 64 {
            throw ConfigurationError("domainname", "is longer than 64 bytes")
        }
    }

    /// Only settings that a namespace of the container has to itself: the others would change the machine.
    private func sysctl(_ name: String) throws {
        let field = "linux.sysctl.\(name)"
        let dotted =
            name.contains("/") && !name.contains(".") ? name.split(separator: "/").joined(separator: ".") : name
        let parts = dotted.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count > 1, !parts.contains(where: { $0.isEmpty }), !name.contains("..") else {
            throw ConfigurationError(field, "is not the name of a setting")
        }
        let ipc: Set<String> = [
            "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
            "kernel.shmmni", "kernel.shm_rmid_forced",
        ]
        let needed: NamespaceKind
        if ipc.contains(dotted) || dotted.hasPrefix("fs.mqueue.") {
            needed = .ipc
        } else if dotted.hasPrefix("net.") {
            needed = .network
        } else if dotted == "kernel.domainname" || dotted == "kernel.hostname" {
            needed = .uts
        } else {
            throw ConfigurationError(field, "is not in a namespace of the container: it is the whole machine's")
        }
        guard has(needed) else {
            throw ConfigurationError(field, "needs a \(needed.rawValue) namespace in linux.namespaces")
        }
    }

    private func check(_ mount: ContainerMount, _ path: String) throws {
        guard let maps = mount.idMaps else { return }
        guard maps != IDMaps() || has(.user) else {
            throw ConfigurationError(
                "\(path).options", "idmap needs uidMappings and gidMappings, or the container's user namespace")
        }
    }
}
