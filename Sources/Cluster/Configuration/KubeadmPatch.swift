import Document

/// What people use kubeadm patches for, done without kubeadm: labels and taints of nodes, a kubelet's number of pods,
/// admission plug-ins, names in the API server's certificate, the choice of controllers. All else is refused.
///
/// A patch is an object of kubeadm's own kinds inside a string:
///
///     kind: InitConfiguration        (the control plane) or JoinConfiguration (a worker)
///     nodeRegistration:
///       kubeletExtraArgs: {node-labels: "ingress-ready=true"}     a mapping, since v1beta4 a list of name and value
enum KubeadmPatch {
    /// `nodes` are those that the patch is written for: all, or one (`isNodes`).
    static func apply(
        _ field: ConfigurationField, to configuration: inout ClusterConfiguration, nodes: [Int], isNodes: Bool = false
    ) throws(UsageError) {
        try apply(object: try field.embedded(), to: &configuration, nodes: nodes, isNodes: isNodes)
    }

    /// The same by RFC 6902: `{group, version, kind, patch}`. What its operations make of an empty object is the patch.
    static func applyJSON(
        _ field: ConfigurationField, to configuration: inout ClusterConfiguration, nodes: [Int], isNodes: Bool = false
    ) throws(UsageError) {
        var kind = ""
        var operations: ConfigurationField?
        for (key, value) in try field.members(["group", "version", "kind", "name", "namespace", "patch"]) {
            if key == "kind" { kind = try value.string() }
            if key == "patch" { operations = value }
        }
        guard let operations else { throw field.refuse("the patch is missing", allowed: "write 'patch: |'") }
        let list = try operations.embedded().value
        do {
            let made = try (template(kind) ?? .emptyObject).applyingJSONPatch(list)
            let object = operations.replaced(by: made)
            try apply(object: object, to: &configuration, nodes: nodes, isNodes: isNodes)
        } catch let error as UsageError {
            throw error
        } catch {
            throw operations.refuse("the patch cannot be applied: \(error)", allowed: "write it as RFC 6902 has it")
        }
    }

    /// What a patch may count on being there.
    private static func template(_ kind: String) -> Document? {
        switch kind {
        case "ClusterConfiguration":
            [
                "kind": Document(kind), "apiServer": ["certSANs": [], "extraArgs": [:]],
                "controllerManager": ["extraArgs": [:]], "scheduler": ["extraArgs": [:]],
            ]
        case "InitConfiguration", "JoinConfiguration":
            ["kind": Document(kind), "nodeRegistration": ["kubeletExtraArgs": [:]]]
        default: ["kind": Document(kind)]
        }
    }

    private static func apply(
        object patch: ConfigurationField, to configuration: inout ClusterConfiguration, nodes: [Int], isNodes: Bool
    ) throws(UsageError) {
        let members = try patch.members()
        let kind = try members.first { $0.key == "kind" }?.field.string()
        switch kind {
        case "InitConfiguration", "JoinConfiguration":
            let role: NodeConfiguration.Role = kind == "InitConfiguration" ? .controlPlane : .worker
            let meant = nodes.filter { configuration.nodes[$0].role == role }
            guard !isNodes || !meant.isEmpty else {
                throw patch.refuse(
                    "\(kind ?? "") has no effect on a node that is no \(role.rawValue)",
                    allowed: "use \(role == .worker ? "InitConfiguration" : "JoinConfiguration") here")
            }
            try registration(patch, to: &configuration, nodes: meant)
        case "ClusterConfiguration": try cluster(patch, to: &configuration)
        case "KubeletConfiguration":
            for (key, value) in try known(patch, ["maxPods", "evictionHard"]) {
                if key == "evictionHard" {
                    try checkEviction(value)
                    continue
                }
                let most = try value.number(1...NodeConfiguration.mostPods)
                for index in nodes { configuration.nodes[index].maxPods = most }
            }
        default:
            throw (members.first { $0.key == "kind" }?.field ?? patch).refuse(
                kind.map { "patches of \($0) cannot be honoured" } ?? "the patch does not say its kind",
                allowed: "use InitConfiguration, JoinConfiguration, ClusterConfiguration or KubeletConfiguration")
        }
    }

    /// The members but `kind` and `apiVersion`; what this lab cannot do is refused.
    private static func known(
        _ field: ConfigurationField, _ names: [String]
    ) throws(UsageError) -> [(key: String, field: ConfigurationField)] {
        let all = try field.members()
        let ignored = field.path.isEmpty ? ["kind", "apiVersion", "metadata"] : []
        for (key, value) in all where !names.contains(key) && !ignored.contains(key) {
            throw value.refuse(
                "'\(key)' cannot be honoured: there is no kubeadm here",
                allowed: "what can be set here is \(names.joined(separator: ", "))")
        }
        return all.filter { names.contains($0.key) }
    }

    /// Disks are the whole machine's, and no pod is evicted for them: what switches that off asks for what is so.
    private static func checkEviction(_ field: ConfigurationField) throws(UsageError) {
        for (signal, value) in try field.members() {
            guard signal.hasPrefix("nodefs.") || signal.hasPrefix("imagefs."), ["0", "0%"].contains(try value.word())
            else {
                throw value.refuse(
                    "evictionHard \(signal) cannot be set",
                    allowed: "what can be said is nodefs and imagefs at \"0%\", which is always so")
            }
        }
    }

    // MARK: Nodes

    private static func registration(
        _ patch: ConfigurationField, to configuration: inout ClusterConfiguration, nodes: [Int]
    ) throws(UsageError) {
        for (_, registration) in try known(patch, ["nodeRegistration"]) {
            for (key, value) in try known(registration, ["kubeletExtraArgs", "taints"]) {
                if key == "taints" {
                    let taints = try NodeReader.taints(value)
                    for index in nodes { configuration.nodes[index].taints = taints }
                    continue
                }
                for (flag, value) in try arguments(value) {
                    for index in nodes { try kubelet(flag, value, to: &configuration.nodes[index]) }
                }
            }
        }
    }

    private static func kubelet(
        _ flag: String, _ field: ConfigurationField, to node: inout NodeConfiguration
    ) throws(UsageError) {
        switch flag {
        case "node-labels":
            for word in ComponentReader.words(try field.word()) {
                let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                let value = parts.count == 2 ? parts[1] : ""
                try NodeReader.check(label: parts[0], value, field)
                node.labels[parts[0]] = value
            }
        case "register-with-taints":
            node.taints = try ComponentReader.words(try field.word()).map { word throws(UsageError) in
                let halves = word.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
                let pair = (halves.first ?? "").split(separator: "=", maxSplits: 1).map(String.init)
                let taint = NodeConfiguration.Taint(
                    key: pair.first ?? "", value: pair.count == 2 ? pair[1] : "", effect: halves.last ?? "")
                try NodeReader.check(taint, field)
                return taint
            }
        case "max-pods":
            guard let most = Int(try field.word()), (1...NodeConfiguration.mostPods).contains(most) else {
                throw field.refuse(
                    "max-pods \(field.value.jsonText) is out of range",
                    allowed: "use 1 to \(NodeConfiguration.mostPods)")
            }
            node.maxPods = most
        default:
            throw field.refuse(
                "the kubelet's flag '\(flag)' cannot be honoured",
                allowed: "what can be set here is node-labels, register-with-taints, max-pods")
        }
    }

    /// `{name: value}`, or since v1beta4 `[{name: …, value: …}]`.
    private static func arguments(
        _ field: ConfigurationField
    ) throws(UsageError) -> [(flag: String, field: ConfigurationField)] {
        guard field.value.isArray else { return try field.members().map { ($0.key, $0.field) } }
        var found: [(String, ConfigurationField)] = []
        for element in try field.elements() {
            let members = try element.members(["name", "value"])
            guard let name = members.first(where: { $0.key == "name" }),
                let value = members.first(where: { $0.key == "value" })
            else { throw element.refuse("an argument has a name and a value", allowed: "write '{name: …, value: …}'") }
            found.append((try name.field.string(), value.field))
        }
        return found
    }

    // MARK: The control plane

    private static func cluster(
        _ patch: ConfigurationField, to configuration: inout ClusterConfiguration
    ) throws(UsageError) {
        for (component, field) in try known(patch, ["apiServer", "controllerManager", "scheduler"]) {
            let names = component == "apiServer" ? ["extraArgs", "certSANs"] : ["extraArgs"]
            for (key, value) in try known(field, names) {
                if key == "certSANs" {
                    configuration.components.certificateNames += try ComponentReader.certificateNames(value)
                    continue
                }
                for (flag, value) in try arguments(value) {
                    try argument(component, flag, value, to: &configuration)
                }
            }
        }
    }

    private static func argument(
        _ component: String, _ flag: String, _ value: ConfigurationField, to configuration: inout ClusterConfiguration
    ) throws(UsageError) {
        switch (component, flag) {
        case ("apiServer", "enable-admission-plugins"):
            configuration.components.enabledAdmission += try ComponentReader.plugins(value)
        case ("apiServer", "disable-admission-plugins"):
            configuration.components.disabledAdmission += try ComponentReader.plugins(value)
        case ("apiServer", "runtime-config"):
            for word in ComponentReader.words(try value.word()) {
                let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
                try Features.checkRuntimeConfig(
                    parts.first ?? "", parts.count == 2 ? parts[1] : "true", value, notes: &configuration.notes)
            }
        case (_, "feature-gates"):
            for word in ComponentReader.words(try value.word()) {
                let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
                try Features.check(gate: parts.first ?? "", isOn: parts.last == "true", value)
            }
        case ("controllerManager", "controllers"):
            configuration.controllers = try ComponentReader.controllers(value)
        case ("controllerManager", "leader-elect"), ("scheduler", "leader-elect"):
            configuration.leaderElection = try ComponentReader.flag(value)
        default:
            throw value.refuse(
                "the flag '\(flag)' of \(component) cannot be honoured",
                allowed: "for apiServer: enable-admission-plugins, disable-admission-plugins, runtime-config; "
                    + "for controllerManager: controllers, leader-elect; for all: feature-gates")
        }
    }
}
