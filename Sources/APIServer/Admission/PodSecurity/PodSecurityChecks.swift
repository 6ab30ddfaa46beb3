import Document
import Schema

/// A pod, or the template of one, as the checks read it: parsed only as far as a check asks.
struct CheckedPod {
    let annotations: Document?
    let spec: Document
    let context: Document
    /// Init containers, containers and ephemeral containers, each with its security context.
    let containers: [(name: String, body: Document, context: Document)]

    init(metadata: Document?, spec: Document) {
        annotations = metadata?["annotations"]
        self.spec = spec
        context = spec["securityContext"] ?? .emptyObject
        containers = ["initContainers", "containers", "ephemeralContainers"].flatMap { spec.list($0) }.map {
            (name: $0.text("name") ?? "", body: $0, context: $0["securityContext"] ?? .emptyObject)
        }
    }

    var isWindows: Bool { spec.text("os", "name") == "windows" }
    /// Root in a user namespace of its own is not root on the node.
    var hasUserNamespace: Bool { spec.flag("hostUsers") == false }

    /// The names of the containers that `isBad`.
    func names(where isBad: (Document, Document) -> Bool) -> [String] {
        containers.filter { isBad($0.body, $0.context) }.map(\.name)
    }
}

/// What a standard has against a pod.
struct PodSecurityViolation: Equatable {
    var reason: String
    var detail: String

    static func detail(of violations: [PodSecurityViolation]) -> String {
        violations.map { $0.detail.isEmpty ? $0.reason : "\($0.reason) (\($0.detail))" }.joined(separator: ", ")
    }

    static func reason(of violations: [PodSecurityViolation]) -> String {
        violations.map(\.reason).joined(separator: ", ")
    }
}

/// One rule of a standard, in the form that it had from a minor version on.
struct PodSecurityCheck: Sendable {
    typealias Body = @Sendable (CheckedPod) -> PodSecurityViolation?

    var id: String
    /// Rules of the level below that this one replaces.
    var replaces: [String] = []
    /// By the first minor version that has the form, ascending.
    var versions: [(since: Int, check: Body)]

    init(_ id: String, replaces: [String] = [], _ versions: (since: Int, check: Body)...) {
        self.id = id
        self.replaces = replaces
        self.versions = versions
    }

    func body(at minor: Int) -> Body? { versions.last { $0.since <= minor }?.check }
}

enum PodSecurityChecks {
    /// Everything that `standard` has against the pod, rules of the baseline first.
    static func violations(_ standard: PodSecurityStandard, _ pod: CheckedPod) -> [PodSecurityViolation] {
        guard standard.level > .privileged else { return [] }
        let minor = standard.minor ?? Int.max
        var found: [PodSecurityViolation] = []
        var replaced: Set<String> = []
        if standard.level == .restricted {
            for check in restricted where check.body(at: minor) != nil { replaced.formUnion(check.replaces) }
        }
        for check in baseline where !replaced.contains(check.id) {
            if let violation = check.body(at: minor)?(pod) { found.append(violation) }
        }
        guard standard.level == .restricted else { return found }
        return found + restricted.compactMap { $0.body(at: minor)?(pod) }
    }

    /// In the order of their names, as the messages list them.
    private static let baseline: [PodSecurityCheck] = [
        .init("appArmorProfile", (0, PodBaseline.appArmor)),
        .init("capabilities_baseline", (0, PodBaseline.capabilities)),
        .init("hostNamespaces", (0, PodBaseline.hostNamespaces)),
        .init("hostPathVolumes", (0, PodBaseline.hostPaths)),
        .init("hostPorts", (0, PodBaseline.hostPorts)),
        .init("hostProbesAndHostLifecycle", (34, PodBaseline.probeHosts)),
        .init("privileged", (0, PodBaseline.privileged)),
        .init("procMount", (0, PodBaseline.procMount), (35, { $0.hasUserNamespace ? nil : PodBaseline.procMount($0) })),
        .init(
            "seLinuxOptions", (0, { PodBaseline.seLinux($0, PodBaseline.seLinuxTypes) }),
            (31, { PodBaseline.seLinux($0, PodBaseline.seLinuxTypes.union(["container_engine_t"])) })),
        .init(
            "seccompProfile_baseline", (0, PodBaseline.seccompAnnotations),
            (19, { PodSeccomp.check($0, mustBeSet: false) })),
        .init(
            "sysctls", (0, { PodBaseline.sysctls($0, since: 0) }), (27, { PodBaseline.sysctls($0, since: 27) }),
            (29, { PodBaseline.sysctls($0, since: 29) }), (32, { PodBaseline.sysctls($0, since: 32) })),
        .init("windowsHostProcess", (0, PodBaseline.hostProcess)),
    ]

    private static let restricted: [PodSecurityCheck] = [
        .init(
            "allowPrivilegeEscalation", (8, PodRestricted.escalation),
            (25, { $0.isWindows ? nil : PodRestricted.escalation($0) })),
        .init(
            "capabilities_restricted", replaces: ["capabilities_baseline"], (22, PodRestricted.capabilities),
            (25, { $0.isWindows ? nil : PodRestricted.capabilities($0) })),
        .init("procMount_restricted", replaces: ["procMount"], (35, PodBaseline.procMount)),
        .init("restrictedVolumes", replaces: ["hostPathVolumes"], (0, PodRestricted.volumes)),
        .init(
            "runAsNonRoot", (0, PodRestricted.nonRoot),
            (35, { $0.hasUserNamespace ? nil : PodRestricted.nonRoot($0) })),
        .init(
            "runAsUser", (23, PodRestricted.userZero),
            (35, { $0.hasUserNamespace ? nil : PodRestricted.userZero($0) })),
        .init(
            "seccompProfile_restricted", replaces: ["seccompProfile_baseline"],
            (19, { PodSeccomp.check($0, mustBeSet: true) }),
            (25, { $0.isWindows ? nil : PodSeccomp.check($0, mustBeSet: true) })),
    ]

    // MARK: Words

    static func quoted(_ names: [String]) -> String {
        names.isEmpty ? "" : "\"" + names.joined(separator: "\", \"") + "\""
    }

    static func plural(_ one: String, _ many: String, _ count: Int) -> String { count == 1 ? one : many }

    static func containers(_ names: [String]) -> String {
        "\(plural("container", "containers", names.count)) \(quoted(names))"
    }

    /// `pod and container "a"`: who set something.
    static func setters(pod: Bool, _ names: [String]) -> String {
        var parts = pod ? ["pod"] : []
        if !names.isEmpty { parts.append(containers(names)) }
        return parts.joined(separator: " and ")
    }

    static func sorted(_ values: [String]) -> [String] {
        Set(values).sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    }
}
