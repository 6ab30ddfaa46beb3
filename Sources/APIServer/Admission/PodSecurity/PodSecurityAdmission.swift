import Document
import Kinds
import Schema

/// Holds pods to the standard that their namespace's labels name: refuses them, or warns, also of workloads whose
/// pods would be refused.
struct PodSecurityAdmission: AdmissionPlugin {
    let configuration: PodSecurityConfiguration

    /// Existing pods looked at when a namespace becomes stricter.
    private static let mostPodsChecked = 3_000
    /// Subresources of pods whose body is no pod, or does not change what runs.
    private static let ignored: Set = [
        "exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status",
    ]
    /// Where workloads keep their pods' template.
    private static let templates: [String: [String]] = [
        "replicationcontrollers": ["spec", "template"], "podtemplates": ["template"],
        "replicasets.apps": ["spec", "template"], "deployments.apps": ["spec", "template"],
        "statefulsets.apps": ["spec", "template"], "daemonsets.apps": ["spec", "template"],
        "jobs.batch": ["spec", "template"], "cronjobs.batch": ["spec", "jobTemplate", "spec", "template"],
    ]

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.operation == .create || context.operation == .update else { return }
        switch context.resource.qualifiedName {
        case "namespaces":
            if context.subresource.isEmpty { try await checkNamespace(object, context, resources) }
        case "pods":
            if !Self.ignored.contains(context.subresource) { try await checkPod(object, context, resources) }
        case let name:
            guard context.subresource.isEmpty, let path = Self.templates[name] else { return }
            let template = path.reduce(object) { $0[$1] ?? .null }
            guard template.isObject, let policy = try await policy(context, resources) else { return }
            guard max(policy.warn.level, policy.audit.level) > .privileged else { return }
            try evaluate(template, policy, context, enforce: false)
        }
    }

    private func isExempt(_ context: AdmissionContext) -> Bool {
        configuration.exemptNamespaces.contains(context.namespace)
            || configuration.exemptUsers.contains(context.user.name)
    }

    /// What holds in the request's namespace; nil where nothing does.
    private func policy(_ context: AdmissionContext, _ resources: Resources) async throws -> PodSecurityPolicy? {
        if isExempt(context) { return nil }
        let namespace = try await resources.snapshots.single("namespaces", name: context.namespace, resources)
        let policy = PodSecurityPolicy(namespace?.at("metadata", "labels"), configuration)
        return policy.isPrivileged ? nil : policy
    }

    private func checkPod(_ pod: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        if context.operation == .update, let old = context.old, !Self.isSignificant(pod, old) { return }
        guard let policy = try await policy(context, resources) else { return }
        try evaluate(pod, policy, context, enforce: true)
    }

    private func isExempt(_ spec: Document) -> Bool {
        configuration.exemptRuntimeClasses.contains(spec.text("runtimeClassName") ?? "")
    }

    private func evaluate(
        _ pod: Document, _ policy: PodSecurityPolicy, _ context: AdmissionContext, enforce: Bool
    ) throws {
        let spec = pod["spec"] ?? .emptyObject
        if isExempt(spec) { return }
        let checked = CheckedPod(metadata: pod["metadata"], spec: spec)
        var enforced: [PodSecurityViolation]?
        if enforce {
            let violations = PodSecurityChecks.violations(policy.enforce, checked)
            guard violations.isEmpty else {
                throw context.refuse(
                    "violates PodSecurity \"\(policy.enforce)\": \(PodSecurityViolation.detail(of: violations))")
            }
            enforced = violations
        }
        if policy.warn == policy.enforce, enforced != nil { return }
        let violations = PodSecurityChecks.violations(policy.warn, checked)
        if !violations.isEmpty {
            context.warnings.add(
                "would violate PodSecurity \"\(policy.warn)\": \(PodSecurityViolation.detail(of: violations))")
        }
    }

    /// Whether an update changes what runs: only images can change, and containers can be added.
    private static func isSignificant(_ pod: Document, _ old: Document) -> Bool {
        let before = "seccomp.security.alpha.kubernetes.io/pod"
        func annotation(_ object: Document, _ key: String) -> String? { object.text("metadata", "annotations", key) }
        if annotation(pod, before) != annotation(old, before) { return true }
        for field in ["containers", "initContainers", "ephemeralContainers"] {
            let (new, known) = (pod.list("spec", field), old.list("spec", field))
            if new.count != known.count { return true }
            for container in new {
                let name = container.text("name") ?? ""
                let key = "container.seccomp.security.alpha.kubernetes.io/" + name
                guard let same = known.first(where: { $0.text("name") == name }),
                    same.text("image") == container.text("image"), annotation(pod, key) == annotation(old, key)
                else { return true }
            }
        }
        return false
    }

    // MARK: Namespaces

    private func checkNamespace(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        let policy = PodSecurityPolicy(object.at("metadata", "labels"), configuration)
        let before = PodSecurityPolicy(context.old?.at("metadata", "labels"), configuration)
        if !policy.errors.isEmpty, context.operation == .create || policy.errors != before.errors {
            throw APIStatus.invalid(context.resource, context.name, policy.errors)
        }
        guard context.operation == .update, policy.enforce != before.enforce, policy.enforce.level > .privileged,
            policy.enforce.minor != before.enforce.minor || policy.enforce.level > before.enforce.level,
            !isExempt(context)
        else { return }
        try await warnOfPods(in: context.name, policy.enforce, context, resources)
    }

    /// Tells whose pods the new standard would have refused. They stay.
    private func warnOfPods(
        in namespace: String, _ standard: PodSecurityStandard, _ context: AdmissionContext, _ resources: Resources
    ) async throws {
        let pods = try await resources.objects("pods", namespace: namespace)
        var names: [String: [String]] = [:]
        for pod in pods.prefix(Self.mostPodsChecked) {
            let spec = pod["spec"] ?? .emptyObject
            if isExempt(spec) { continue }
            let violations = PodSecurityChecks.violations(
                standard, CheckedPod(metadata: pod["metadata"], spec: spec))
            if violations.isEmpty { continue }
            names[PodSecurityViolation.reason(of: violations), default: []].append(pod.text("metadata", "name") ?? "")
        }
        if pods.count > Self.mostPodsChecked {
            context.warnings.add(
                "new PodSecurity enforce level only checked against the first \(Self.mostPodsChecked) of \(pods.count) "
                    + "existing pods")
        }
        if names.isEmpty { return }
        context.warnings.add(
            "existing pods in namespace \"\(namespace)\" violate the new PodSecurity enforce level \"\(standard)\"")
        let lines = names.map { reason, pods in
            let others = pods.count - 1
            let more = others == 0 ? "" : " (and \(others) other \(others == 1 ? "pod" : "pods"))"
            return "\(pods.min() ?? "")\(more): \(reason)"
        }
        for line in lines.sorted() { context.warnings.add(line) }
    }
}
