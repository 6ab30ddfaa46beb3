import Kinds

/// Feature gates and API versions: nothing here can be switched, so a file may only ask for what is there.
enum Features {
    /// Gates whose feature is always on here.
    static let present: Set<String> = [
        "CustomResourceValidationExpressions", "ImageVolume", "JobBackoffLimitPerIndex", "JobManagedBy",
        "JobPodReplacementPolicy", "JobSuccessPolicy", "MutatingAdmissionPolicy", "PodDisruptionConditions",
        "PodSchedulingReadiness", "ServerSideApply", "ServerSideFieldValidation", "SidecarContainers",
        "StatefulSetAutoDeletePVC", "ValidatingAdmissionPolicy",
    ]

    static func checkGates(_ field: ConfigurationField) throws(UsageError) {
        for (gate, value) in try field.members() { try check(gate: gate, isOn: try value.bool(), value) }
    }

    static func check(gate: String, isOn: Bool, _ field: ConfigurationField) throws(UsageError) {
        // Nothing alpha is on, so this asks for what is so.
        if gate == "AllAlpha", !isOn { return }
        let isPresent = present.contains(gate)
        guard isPresent == isOn, isPresent else {
            throw field.refuse(
                "feature gate \(gate)=\(isOn) cannot be honoured: features are not switched here",
                allowed: isPresent
                    ? "\(gate) is always on; leave it out"
                    : "always on are \(present.sorted().joined(separator: ", ")); leave others out")
        }
    }

    static func checkRuntimeConfig(_ field: ConfigurationField, notes: inout [String]) throws(UsageError) {
        for (key, value) in try field.members() {
            try checkRuntimeConfig(key, try value.word(), value, notes: &notes)
        }
    }

    static func checkRuntimeConfig(
        _ key: String, _ value: String, _ field: ConfigurationField, notes: inout [String]
    ) throws(UsageError) {
        guard let isOn = value == "true" ? true : value == "false" ? false : nil else {
            throw field.refuse("runtimeConfig \(key)=\(value)", allowed: "use \"true\" or \"false\"")
        }
        let served = Kinds.registry.declaredGroupVersions
        let versions = Set(served.map { $0.group.isEmpty ? $0.version : "\($0.group)/\($0.version)" })
        let wanted = key.split(separator: "/")
        // `GROUP/VERSION/RESOURCE` asks for one resource of a version.
        let version = wanted.prefix(2).joined(separator: "/")
        switch (key, isOn) {
        case ("api/all", true), ("api/ga", true):
            notes.append("runtimeConfig \(key): every API that there is here is served, none of them alpha or beta")
        case ("api/alpha", false), ("api/beta", false), ("api/legacy", false): break
        default:
            guard versions.contains(version) == isOn else {
                throw field.refuse(
                    "runtimeConfig \(key)=\(value) cannot be honoured: \(isOn ? "it is not served" : "it is always served")",
                    allowed: "served are \(versions.sorted().joined(separator: ", "))")
            }
        }
    }
}
