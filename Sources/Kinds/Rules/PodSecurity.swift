import Document
import Schema

/// Rules about what a pod's processes may do.
enum PodSecurity {
    static func check(_ spec: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let pod = path + ".securityContext"
        if spec.flag("shareProcessNamespace") == true, spec.flag("hostPID") == true {
            errors.append(
                .invalid(
                    pod + ".shareProcessNamespace", true, "ShareProcessNamespace and HostPID cannot both be enabled"))
        }
        let context = spec["securityContext"]
        for (index, group) in (context?.list("supplementalGroups") ?? []).enumerated() {
            if let number = group.int, !(0...2_147_483_647).contains(number) {
                errors.append(
                    .invalid(
                        "\(pod).supplementalGroups[\(index)]", group, "must be between 0 and 2147483647, inclusive"))
            }
        }
        errors += sysctls(
            context?.list("sysctls") ?? [], pod + ".sysctls", hostNetwork: spec.flag("hostNetwork") == true)
        errors += appArmor(context?["appArmorProfile"], pod + ".appArmorProfile")
        errors += profile(context?["seccompProfile"], pod + ".seccompProfile", "seccomp")
        for field in ["containers", "initContainers"] {
            for (index, container) in spec.list(field).enumerated() {
                let here = "\(path).\(field)[\(index)].securityContext"
                errors += profile(
                    container.at("securityContext", "seccompProfile"), here + ".seccompProfile", "seccomp")
                if let context = container["securityContext"] { errors += escalation(context, spec, here) }
            }
        }
        return errors
    }

    /// Rights that contradict each other.
    private static func escalation(_ context: Document, _ spec: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if let mount = context["procMount"] {
            if mount == "Unmasked", spec.flag("hostUsers") != false {
                errors.append(
                    .invalid(path + ".procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
            }
        }
        guard context.flag("allowPrivilegeEscalation") == false else { return errors }
        let start = "cannot set `allowPrivilegeEscalation` to false and "
        if context.flag("privileged") == true {
            errors.append(
                .invalid(path, InternalForm.value(context, as: "SecurityContext"), start + "`privileged` to true"))
        }
        for capability in context.list("capabilities", "add") where capability == "CAP_SYS_ADMIN" {
            errors.append(
                .invalid(
                    path, InternalForm.value(context, as: "SecurityContext"), start + "`capabilities.Add` CAP_SYS_ADMIN"
                ))
        }
        return errors
    }

    private static func sysctls(_ list: [Document], _ path: String, hostNetwork: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        var names: Set<String> = []
        for (index, sysctl) in list.enumerated() {
            let here = "\(path)[\(index)].name"
            let name = sysctl.text("name") ?? ""
            let parts = name.split(omittingEmptySubsequences: false) { $0 == "." || $0 == "/" }
            let valid = parts.allSatisfy { part in
                part.first != "-" && part.last != "-" && part.first != "_" && part.last != "_" && !part.isEmpty
                    && part.utf8.allSatisfy {
                        (97...122).contains($0) || (48...57).contains($0) || "-_".utf8.contains($0)
                    }
            }
            if name.isEmpty {
                errors.append(.required(here))
            } else if !valid || name.utf8.count > 253 {
                errors.append(
                    .invalid(
                        here, Document(name),
                        "must have at most 253 characters and match regex "
                            + "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"))
            } else if !names.insert(name).inserted {
                errors.append(.duplicate(here, Document(name)))
            }
            if hostNetwork, name.hasPrefix("net.") {
                errors.append(.invalid(here, Document(name), "may not be specified when 'hostNetwork' is true"))
            }
        }
        return errors
    }

    private static func appArmor(_ profile: Document?, _ path: String) -> [FieldError] {
        guard let profile else { return [] }
        let name = profile.text("localhostProfile")
        if profile.text("type") == "Localhost" {
            return (name ?? "").isEmpty
                ? [.required(path + ".localhostProfile", "must be set when AppArmor type is Localhost")] : []
        }
        guard let name else { return [] }
        let text = "can only be set when AppArmor type is Localhost"
        return [.invalid(path + ".localhostProfile", Document(name), text)]
    }

    private static func profile(_ profile: Document?, _ path: String, _ name: String) -> [FieldError] {
        guard let profile else { return [] }
        let known = ["Localhost", "RuntimeDefault", "Unconfined"]
        let type = profile.text("type") ?? ""
        if type.isEmpty { return [.required(path + ".type", "type is required when seccompProfile is set")] }
        if !known.contains(type) { return [.notSupported(path + ".type", Document(type), known)] }
        let file = profile["localhostProfile"]
        if type == "Localhost" {
            if file == nil {
                return [.required(path + ".localhostProfile", "must be set when \(name) type is Localhost")]
            }
            return PodVolumes.relative(file, path + ".localhostProfile")
        }
        if let file {
            let shown: Document = ["Type": Document(type), "LocalhostProfile": file]
            return [.invalid(path + ".localhostProfile", shown, "can only be set when \(name) type is Localhost")]
        }
        return []
    }
}

/// Rules about what a pod shares with its host.
enum PodHost {
    static func check(_ spec: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if spec.flag("hostUsers") == false {
            for (field, name) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")]
            where spec.flag(field) == true {
                errors.append(.forbidden("\(path).\(name)", "when `hostUsers` is false"))
            }
        }
        if spec["hostnameOverride"] != nil {
            for field in ["hostNetwork", "setHostnameAsFQDN"] where spec.flag(field) == true {
                errors.append(.forbidden(path + ".hostnameOverride", "may not be specified when \(field) is true"))
            }
        }
        if let system = spec.at("os", "name") {
            if !["linux", "windows"].contains(system.string ?? "") {
                errors.append(.notSupported(path + ".os", system, ["linux", "windows"]))
            }
            if system == "linux", spec.at("securityContext", "windowsOptions") != nil {
                errors.append(
                    .forbidden(
                        path + ".securityContext.windowsOptions", "windows options cannot be set for a linux pod"))
            }
            if system == "windows" { errors += windows(spec, path) }
        }
        return errors
    }

    private static func windows(_ spec: Document, _ path: String) -> [FieldError] {
        let onPod = ["hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"].filter { spec[$0] != nil }
        let onContext = ["runAsUser", "runAsGroup", "fsGroup", "seLinuxOptions", "seccompProfile", "sysctls"].filter {
            spec.at("securityContext", $0) != nil
        }
        return (onContext.map { "securityContext." + $0 } + onPod).map {
            .forbidden("\(path).\($0)", "cannot be set for a windows pod")
        }
    }
}
