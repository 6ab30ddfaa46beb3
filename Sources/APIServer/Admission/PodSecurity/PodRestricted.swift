import Document
import Schema

/// The rules that the level `restricted` adds: current best practice of hardening.
enum PodRestricted {
    private typealias Words = PodSecurityChecks

    @Sendable static func escalation(_ pod: CheckedPod) -> PodSecurityViolation? {
        let names = pod.names { $1.flag("allowPrivilegeEscalation") != false }
        if names.isEmpty { return nil }
        return .init(
            reason: "allowPrivilegeEscalation != false",
            detail: "\(Words.containers(names)) must set securityContext.allowPrivilegeEscalation=false")
    }

    @Sendable static func capabilities(_ pod: CheckedPod) -> PodSecurityViolation? {
        func extra(_ context: Document) -> [String] {
            context.list("capabilities", "add").compactMap(\.string).filter { $0 != "NET_BIND_SERVICE" }
        }
        var parts: [String] = []
        let keeping = pod.names { !$1.list("capabilities", "drop").contains("ALL") }
        if !keeping.isEmpty {
            parts.append("\(Words.containers(keeping)) must set securityContext.capabilities.drop=[\"ALL\"]")
        }
        let adding = pod.names { !extra($1).isEmpty }
        if !adding.isEmpty {
            let values = Words.sorted(pod.containers.flatMap { extra($0.context) })
            parts.append(
                "\(Words.containers(adding)) must not include \(Words.quoted(values)) in "
                    + "securityContext.capabilities.add")
        }
        return parts.isEmpty
            ? nil : .init(reason: "unrestricted capabilities", detail: parts.joined(separator: "; "))
    }

    private static let allowedVolumes = [
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
        "secret",
    ]
    private static let knownVolumes = [
        "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi", "glusterfs", "rbd",
        "flexVolume", "cinder", "cephfs", "flocker", "fc", "azureFile", "vsphereVolume", "quobyte", "azureDisk",
        "photonPersistentDisk", "portworxVolume", "scaleIO", "storageos",
    ]

    @Sendable static func volumes(_ pod: CheckedPod) -> PodSecurityViolation? {
        let bad = pod.spec.list("volumes").filter { volume in !allowedVolumes.contains { volume[$0] != nil } }
        if bad.isEmpty { return nil }
        let names = bad.map { $0.text("name") ?? "" }
        let types = Words.sorted(bad.map { volume in knownVolumes.first { volume[$0] != nil } ?? "unknown" })
        return .init(
            reason: "restricted volume types",
            detail: "\(Words.plural("volume", "volumes", names.count)) \(Words.quoted(names)) "
                + "\(Words.plural("uses", "use", names.count)) "
                + "\(Words.plural("restricted volume type", "restricted volume types", types.count)) "
                + Words.quoted(types))
    }

    @Sendable static func nonRoot(_ pod: CheckedPod) -> PodSecurityViolation? {
        let ofPod = pod.context.flag("runAsNonRoot")
        let reason = "runAsNonRoot != true"
        let refusing = pod.names { $1.flag("runAsNonRoot") == false }
        if ofPod == false || !refusing.isEmpty {
            return .init(
                reason: reason,
                detail: "\(Words.setters(pod: ofPod == false, refusing)) must not set "
                    + "securityContext.runAsNonRoot=false")
        }
        guard ofPod != true else { return nil }
        let silent = pod.names { $1.flag("runAsNonRoot") == nil }
        if silent.isEmpty { return nil }
        return .init(
            reason: reason, detail: "pod or \(Words.containers(silent)) must set securityContext.runAsNonRoot=true")
    }

    @Sendable static func userZero(_ pod: CheckedPod) -> PodSecurityViolation? {
        let ofPod = pod.context.number("runAsUser") == 0
        let names = pod.names { $1.number("runAsUser") == 0 }
        guard ofPod || !names.isEmpty else { return nil }
        return .init(reason: "runAsUser=0", detail: "\(Words.setters(pod: ofPod, names)) must not set runAsUser=0")
    }
}

/// The profile of system calls: not `Unconfined`, and for the stricter level not left open either.
enum PodSeccomp {
    private typealias Words = PodSecurityChecks

    static func check(_ pod: CheckedPod, mustBeSet: Bool) -> PodSecurityViolation? {
        /// Nil where nothing is set.
        func type(_ context: Document) -> String? {
            guard let profile = context["seccompProfile"], profile.isObject else { return nil }
            return profile.text("type") ?? ""
        }
        func isBad(_ type: String?) -> Bool { type.map { !["Localhost", "RuntimeDefault"].contains($0) } ?? false }
        let ofPod = type(pod.context)
        let names = pod.names { isBad(type($1)) }
        if isBad(ofPod) || !names.isEmpty {
            let values = Words.sorted(
                ([ofPod] + pod.containers.map { type($0.context) }).filter { isBad($0) }.compactMap { $0 })
            return .init(
                reason: "seccompProfile",
                detail: "\(Words.setters(pod: isBad(ofPod), names)) must not set securityContext.seccompProfile.type "
                    + "to \(Words.quoted(values))")
        }
        guard mustBeSet, ofPod == nil else { return nil }
        let silent = pod.names { type($1) == nil }
        if silent.isEmpty { return nil }
        return .init(
            reason: "seccompProfile",
            detail: "pod or \(Words.containers(silent)) must set securityContext.seccompProfile.type to "
                + "\"RuntimeDefault\" or \"Localhost\"")
    }
}
