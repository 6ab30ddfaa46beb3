import Document
import Schema

/// What a pod's spec must satisfy beyond its declared types.
enum PodValidation {
    static func spec(_ spec: Document, path: String, isTemplate: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        let volumes = PodVolumes.check(spec.list("volumes"), path + ".volumes", isTemplate: isTemplate, &errors)
        if spec.list("containers").isEmpty { errors.append(.required(path + ".containers")) }
        errors += containers(spec, path, volumes: volumes, isTemplate: isTemplate)
        errors += ephemeral(spec, path, isTemplate: isTemplate)
        errors += dns(spec, path)
        for (index, toleration) in spec.list("tolerations").enumerated() {
            errors += PodPlacement.toleration(toleration, "\(path).tolerations[\(index)]")
        }
        errors += PodPlacement.affinity(spec["affinity"], path + ".affinity")
        errors += PodPlacement.spread(spec.list("topologySpreadConstraints"), path + ".topologySpreadConstraints")
        errors += MetadataRules.labels(spec["nodeSelector"], path + ".nodeSelector")
        errors += gates(spec, path)
        errors += PodSecurity.check(spec, path)
        errors += PodHost.check(spec, path)
        errors += claims(spec.list("resourceClaims"), path + ".resourceClaims")
        errors += PodResources.check(spec, path)
        for (index, alias) in spec.list("hostAliases").enumerated() {
            let here = "\(path).hostAliases[\(index)]"
            errors += Formats.ip(alias.text("ip") ?? "").map { .invalid(here + ".ip", alias["ip"], $0) }
            for (place, name) in alias.list("hostnames").enumerated() {
                errors += Formats.dnsSubdomain(name.string ?? "").map {
                    .invalid("\(here).hostnames[\(place)]", name, $0)
                }
            }
        }
        return errors
    }

    // MARK: Containers

    private static func containers(_ spec: Document, _ path: String, volumes: Set<String>, isTemplate: Bool)
        -> [FieldError]
    {
        var errors: [FieldError] = []
        var names: Set<String> = []
        let hostNetwork = spec.flag("hostNetwork") == true
        let grace = spec.number("terminationGracePeriodSeconds") ?? 30
        let claimNames = spec.list("resourceClaims").compactMap { $0.text("name") }
        for field in ["containers", "initContainers"] {
            for (index, container) in spec.list(field).enumerated() {
                let here = "\(path).\(field)[\(index)]"
                if let name = container.text("name"), !name.isEmpty {
                    // Repetitions inside one list are the schema's to find; here the two lists meet.
                    if field == "initContainers", names.contains(name) {
                        errors.append(.duplicate(here + ".name", Document(name)))
                    }
                    if field == "containers" { names.insert(name) }
                }
                errors += ContainerValidation.check(container, here, volumes: volumes, hostNetwork: hostNetwork)
                errors += BlockDevices.sources(container, here, volumes: spec.list("volumes"))
                errors += PodResources.claims(container.list("resources", "claims"), of: claimNames, here)
                errors += ContainerValidation.sleep(container, here, grace: grace)
                errors += resizing(container, spec, here)
                if field == "initContainers" { errors += initContainer(container, here) }
            }
        }
        return errors + ContainerValidation.hostPorts(spec.list("containers"), path + ".containers")
    }

    /// A pod whose containers never start again cannot be resized by starting them again.
    private static func resizing(_ container: Document, _ spec: Document, _ path: String) -> [FieldError] {
        guard spec.text("restartPolicy") == "Never" else { return [] }
        return container.list("resizePolicy").filter { $0.text("restartPolicy") == "RestartContainer" }.map { _ in
            .invalid(
                path + ".resizePolicy", "RestartContainer",
                "must be 'NotRequired' when pod `restartPolicy` is 'Never'")
        }
    }

    private static func initContainer(_ container: Document, _ path: String) -> [FieldError] {
        if container.text("restartPolicy") == "Always" { return [] }
        return ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"].compactMap { field in
            container[field] == nil
                ? nil
                : .forbidden("\(path).\(field)", "may not be set for init containers without restartPolicy=Always")
        }
    }

    private static func ephemeral(_ spec: Document, _ path: String, isTemplate: Bool) -> [FieldError] {
        let containers = spec.list("ephemeralContainers")
        if containers.isEmpty { return [] }
        let here = path + ".ephemeralContainers"
        if isTemplate { return [.forbidden(here, "ephemeral containers not allowed in pod template")] }
        var errors: [FieldError] = []
        let others = (spec.list("containers") + spec.list("initContainers")).compactMap { $0.text("name") }
        for (index, container) in containers.enumerated() {
            let place = "\(here)[\(index)]"
            if let name = container.text("name"), others.contains(name) {
                errors.append(.duplicate(place + ".name", Document(name)))
            }
            if let target = container.text("targetContainerName"), !others.contains(target) {
                errors.append(.notFound(place + ".targetContainerName", Document(target)))
            }
            for field in ["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"]
            where container[field] != nil {
                errors.append(.forbidden("\(place).\(field)", "cannot be set for an Ephemeral Container"))
            }
            if (container["resources"]?.count ?? 0) > 0 {
                errors.append(.forbidden(place + ".resources", "cannot be set for an Ephemeral Container"))
            }
        }
        return errors
    }

    // MARK: The rest

    private static func dns(_ spec: Document, _ path: String) -> [FieldError] {
        let here = path + ".dnsConfig"
        guard let config = spec["dnsConfig"] else {
            return spec.text("dnsPolicy") == "None"
                ? [.required(here, "must provide `dnsConfig` when `dnsPolicy` is None")] : []
        }
        var errors: [FieldError] = []
        let servers = config.list("nameservers")
        if servers.count > 3 {
            errors.append(
                .invalid(here + ".nameservers", config["nameservers"], "must not have more than 3 nameservers"))
        }
        if servers.isEmpty, spec.text("dnsPolicy") == "None" {
            errors.append(
                .required(here + ".nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"))
        }
        for (index, server) in servers.enumerated() {
            errors += Formats.ip(server.string ?? "").map { .invalid("\(here).nameservers[\(index)]", server, $0) }
        }
        for (index, search) in config.list("searches").enumerated() {
            let text = search.string ?? ""
            if text == "." { continue }
            let bare = text.hasSuffix(".") ? String(text.dropLast()) : text
            errors += Formats.dnsSubdomainWithUnderscore(bare).map {
                .invalid("\(here).searches[\(index)]", search, $0)
            }
        }
        for (index, option) in config.list("options").enumerated() where option.text("name")?.isEmpty ?? true {
            errors.append(.required("\(here).options[\(index)]", "must not be empty"))
        }
        return errors
    }

    private static func gates(_ spec: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let gates = spec.list("schedulingGates")
        if !gates.isEmpty, !(spec.text("nodeName") ?? "").isEmpty {
            errors.append(.forbidden(path + ".nodeName", "cannot be set until all schedulingGates have been cleared"))
        }
        var names: Set<String> = []
        for (index, gate) in gates.enumerated() {
            if let name = gate.text("name"), !names.insert(name).inserted {
                errors.append(.duplicate("\(path).schedulingGates[\(index)]", Document(name)))
            }
            let name = gate.text("name") ?? ""
            errors += Formats.qualifiedName(name).map {
                .invalid("\(path).schedulingGates[\(index)]", Document(name), $0)
            }
        }
        return errors
    }

    private static func claims(_ claims: [Document], _ path: String) -> [FieldError] {
        claims.enumerated().compactMap { index, claim in
            let named = ["resourceClaimName", "resourceClaimTemplateName"].filter { claim[$0] != nil }
            if named.count == 1 { return nil }
            let shown: Document = [
                "Name": claim["name"] ?? "", "ResourceClaimName": claim["resourceClaimName"] ?? .null,
                "ResourceClaimTemplateName": claim["resourceClaimTemplateName"] ?? .null,
            ]
            let text =
                named.isEmpty
                ? "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
                : "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            return .invalid("\(path)[\(index)]", shown, text)
        }
    }
}
