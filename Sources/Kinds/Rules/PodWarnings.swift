import Document
import Schema

/// What a pod's author is told although the pod is accepted.
enum PodWarnings {
    static func pod(_ pod: Document, old: Document?) -> [String] {
        var warnings: [String] = []
        let name = pod.text("metadata", "name") ?? ""
        if old == nil, !name.isEmpty {
            let problems = Formats.dnsLabel(name)
            if !problems.isEmpty {
                warnings.append(
                    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS "
                        + "label is recommended: [\(problems.joined(separator: " "))]")
            }
        }
        return warnings + template(pod, path: "")
    }

    /// For the pods that other kinds make: `path` is where the template stands.
    static func template(_ template: Document, path: String) -> [String] {
        let start = path.isEmpty ? "" : path + "."
        let spec = template["spec"] ?? .emptyObject
        var warnings = annotations(template, start + "metadata.annotations")
        warnings += nodeLabels(spec, start + "spec")
        for (index, volume) in spec.list("volumes").enumerated() {
            for (source, text) in oldSources where volume[source] != nil {
                warnings.append("\(start)spec.volumes[\(index)].\(source): \(text)")
            }
        }
        var secrets: Set<String> = []
        for (index, secret) in spec.list("imagePullSecrets").enumerated() {
            let name = secret.text("name") ?? ""
            let here = "\(start)spec.imagePullSecrets[\(index)].name"
            if name.isEmpty {
                warnings.append("\(here): invalid empty name \"\"")
            } else if !secrets.insert(name).inserted {
                warnings.append("\(here): duplicate name \"\(name)\"")
            }
        }
        for field in ["initContainers", "containers", "ephemeralContainers"] {
            for (index, container) in spec.list(field).enumerated() {
                warnings += self.container(container, "\(start)spec.\(field)[\(index)]")
            }
        }
        if let grace = spec.number("terminationGracePeriodSeconds"), grace < 0 {
            warnings.append(
                "\(start)spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
                    + "treated as 1")
        }
        return warnings
    }

    private static let oldSources = [
        ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
        ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
        ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
        ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
        ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
        ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
        ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
        ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
        ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ]

    private static let oldAnnotations = [
        (
            "scheduler.alpha.kubernetes.io/critical-pod",
            "non-functional in v1.16+; use the \"priorityClassName\" field instead"
        ),
        (
            "seccomp.security.alpha.kubernetes.io/pod",
            "non-functional in v1.27+; use the \"seccompProfile\" field instead"
        ),
        ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
        (
            "security.alpha.kubernetes.io/unsafe-sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead"
        ),
    ]

    private static func annotations(_ template: Document, _ path: String) -> [String] {
        guard let annotations = template.at("metadata", "annotations"), annotations.count > 0 else { return [] }
        var warnings = oldAnnotations.filter { annotations[$0.0] != nil }.map { "\(path)[\($0.0)]: \($0.1)" }
        let prefix = "container.seccomp.security.alpha.kubernetes.io/"
        for member in annotations.members where member.key.hasPrefix(prefix) {
            warnings.append(
                "\(path)[\(member.key)]: non-functional in v1.27+; use the \"seccompProfile\" field instead")
        }
        return warnings
    }

    private static let oldLabels = [
        "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
        "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
        "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
        "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
        "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
    ]

    private static func nodeLabels(_ spec: Document, _ path: String) -> [String] {
        var warnings: [String] = []
        func check(_ key: String, _ place: String) {
            guard let (since, new) = oldLabels[key] else { return }
            warnings.append("\(place): deprecated since \(since); use \"\(new)\" instead")
        }
        for member in (spec["nodeSelector"]?.members ?? []).sorted(by: { $0.key < $1.key }) {
            check(member.key, "\(path).nodeSelector[\(member.key)]")
        }
        let terms = spec.list(
            "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
        for (index, term) in terms.enumerated() {
            for (place, expression) in term.list("matchExpressions").enumerated() {
                check(
                    expression.text("key") ?? "",
                    "\(path).affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
                        + "[\(index)].matchExpressions[\(place)].key")
            }
        }
        return warnings
    }

    private static func container(_ container: Document, _ path: String) -> [String] {
        var warnings: [String] = []
        var names: Set<String> = []
        for (index, variable) in container.list("env").enumerated() {
            let name = variable.text("name") ?? ""
            if names.insert(name).inserted { continue }
            // A value that builds on the one before hides nothing.
            if (variable.text("value") ?? "").contains("$(\(name))") { continue }
            warnings.append(
                "\(path).env[\(index)]: hides previous definition of \"\(name)\", which may be dropped when using apply"
            )
        }
        for side in ["limits", "requests"] {
            for name in ["memory", "ephemeral-storage"] {
                guard let value = container.at("resources", side, name),
                    let amount = ResourceValidation.quantity(value), amount.milliValue % 1_000 != 0
                else { continue }
                warnings.append(
                    "\(path).resources.\(side)[\(name)]: fractional byte value \"\(amount)\" is invalid, must be an "
                        + "integer")
            }
        }
        return warnings
    }
}

/// AppArmor profiles as annotations, which were there before the field.
enum AppArmorAnnotations {
    private static let prefix = "container.apparmor.security.beta.kubernetes.io/"

    private static func all(_ pod: Document) -> [(key: String, container: String, value: String)] {
        (pod.at("metadata", "annotations")?.members ?? []).filter { $0.key.hasPrefix(prefix) }.map {
            ($0.key, String($0.key.dropFirst(prefix.count)), $0.value.string ?? "")
        }
    }

    private static func profile(_ value: String) -> Document? {
        switch value {
        case "unconfined": ["type": "Unconfined"]
        case "runtime/default": ["type": "RuntimeDefault"]
        default:
            value.hasPrefix("localhost/") && value.count > "localhost/".count
                ? ["type": "Localhost", "localhostProfile": Document(value.dropFirst("localhost/".count))] : .none
        }
    }

    static func validate(_ pod: Document) -> [FieldError] {
        let names = ["initContainers", "containers", "ephemeralContainers"]
            .flatMap { pod.list("spec", $0).compactMap { $0.text("name") } }
        return all(pod).compactMap { key, container, value in
            let here = "metadata.annotations[\(key)]"
            if !names.contains(container) { return .invalid(here, Document(container), "container not found") }
            if profile(value) != nil { return nil }
            return .invalid(here, Document(value), "invalid AppArmor profile name: \"\(value)\"")
        }
    }

    /// Brings the annotations of a new pod into the field; the author is told to use that.
    static func adopt(_ pod: inout Document, _ warn: (String) -> Void) {
        for (key, name, value) in all(pod) {
            warn("metadata.annotations[\(key)]: deprecated since v1.30; use the \"appArmorProfile\" field instead")
            guard let profile = profile(value) else { continue }
            for field in ["initContainers", "containers"] {
                guard let containers = pod.at("spec", field), containers.isArray else { continue }
                let changed = containers.elements.map { container -> Document in
                    guard container.text("name") == name, container.at("securityContext", "appArmorProfile") == nil
                    else { return container }
                    var container = container
                    container.set(profile, at: "securityContext", "appArmorProfile")
                    return container
                }
                pod.set(Document(changed), at: "spec", field)
            }
        }
    }
}
