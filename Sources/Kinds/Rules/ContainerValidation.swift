import Document
import Schema

enum ContainerValidation {
    static func check(_ container: Document, _ path: String, volumes: Set<String>, hostNetwork: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        let image = container.text("image") ?? ""
        if image.isEmpty {
            errors.append(.required(path + ".image"))
        } else if image.first?.isWhitespace == true || image.last?.isWhitespace == true {
            errors.append(.invalid(path + ".image", Document(image), "must not have leading or trailing whitespace"))
        }
        errors += ports(container.list("ports"), path + ".ports", hostNetwork: hostNetwork)
        errors += environment(container.list("env"), path + ".env")
        errors += mounts(container, path, volumes: volumes)
        errors += BlockDevices.check(container, path)
        for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
            guard let probe = container[name] else { continue }
            errors += handler(probe, "\(path).\(name)")
            if name != "readinessProbe", let count = probe.number("successThreshold"), count != 1 {
                errors.append(.invalid("\(path).\(name).successThreshold", Document(count), "must be 1"))
            }
        }
        for hook in ["postStart", "preStop"] {
            guard let action = container.at("lifecycle", hook) else { continue }
            errors += handler(action, "\(path).lifecycle.\(hook)")
        }
        errors += resizing(container.list("resizePolicy"), path + ".resizePolicy")
        return errors + ResourceValidation.check(container["resources"], path + ".resources")
    }

    private static func resizing(_ policies: [Document], _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        var names: Set<String> = []
        for (index, policy) in policies.enumerated() {
            let name = policy.text("resourceName") ?? ""
            if !names.insert(name).inserted { errors.append(.duplicate("\(path)[\(index)]", Document(name))) }
            if !["cpu", "memory"].contains(name) {
                errors.append(.notSupported(path, Document(name), ["cpu", "memory"]))
            }
            let action = policy.text("restartPolicy") ?? ""
            if !["NotRequired", "RestartContainer"].contains(action) {
                errors.append(.notSupported(path, Document(action), ["NotRequired", "RestartContainer"]))
            }
        }
        return errors
    }

    // MARK: Ports

    private static func ports(_ ports: [Document], _ path: String, hostNetwork: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let here = "\(path)[\(index)]"
            if let name = port.text("name"), !name.isEmpty {
                let wrong = Formats.portName(name)
                errors += wrong.map { .invalid(here + ".name", Document(name), $0) }
                if wrong.isEmpty, !names.insert(name).inserted {
                    errors.append(.duplicate(here + ".name", Document(name)))
                }
            }
            let number = port.number("containerPort") ?? 0
            if number == 0 {
                errors.append(.required(here + ".containerPort"))
            } else {
                errors += Formats.port(number).map { .invalid(here + ".containerPort", Document(number), $0) }
            }
            if hostNetwork, let host = port.number("hostPort"), host != 0, host != number {
                errors.append(
                    .invalid(
                        here + ".hostPort", Document(host), "must match `containerPort` when `hostNetwork` is true"))
            }
        }
        return errors
    }

    /// A node's port can be taken once by a pod.
    static func hostPorts(_ containers: [Document], _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        var taken: Set<String> = []
        for (index, container) in containers.enumerated() {
            for (place, port) in container.list("ports").enumerated() {
                guard let number = port.number("hostPort"), number != 0 else { continue }
                let key = "\(port.text("protocol") ?? "TCP")/\(port.text("hostIP") ?? "")/\(number)"
                if !taken.insert(key).inserted {
                    errors.append(.duplicate("\(path)[\(index)].ports[\(place)].hostPort", Document(key)))
                }
            }
        }
        return errors
    }

    // MARK: Environment

    private static let fieldPaths = [
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
    ]

    private static func environment(_ list: [Document], _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, variable) in list.enumerated() {
            guard let source = variable["valueFrom"] else { continue }
            let here = "\(path)[\(index)].valueFrom"
            let named = source.members.filter { $0.value.isObject }
            if named.isEmpty {
                errors.append(
                    .invalid(
                        here, "",
                        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
                            + "`fileKeyRef`"))
            } else if named.count > 1 {
                errors.append(.invalid(here, "", "may not have more than one field specified at a time"))
            }
            if !(variable.text("value") ?? "").isEmpty, !named.isEmpty {
                errors.append(.invalid(here, "", "may not be specified when `value` is not empty"))
            }
            errors += fieldReference(source["fieldRef"], here + ".fieldRef", supported: fieldPaths)
            errors += ResourceReference.check(source["resourceFieldRef"], here + ".resourceFieldRef", inVolume: false)
            for field in ["configMapKeyRef", "secretKeyRef"] {
                guard let reference = source[field] else { continue }
                if reference.text("name")?.isEmpty ?? true { errors.append(.required("\(here).\(field).name")) }
                if let key = reference.text("key"), !key.isEmpty {
                    errors += Formats.configKey(key).map { .invalid("\(here).\(field).key", Document(key), $0) }
                }
            }
        }
        return errors
    }

    /// Fields that a reference can name at all, although neither variables nor files show all of them.
    private static let knownPaths: Set = [
        "metadata.labels", "metadata.annotations", "spec.restartPolicy", "spec.schedulerName", "status.phase",
    ]

    static func fieldReference(_ reference: Document?, _ path: String, supported: [String]) -> [FieldError] {
        guard let reference, let field = reference.text("fieldPath"), !field.isEmpty else { return [] }
        let here = path + ".fieldPath"
        if let version = reference.text("apiVersion"), version != "v1" {
            return [
                .invalid(here, Document(field), "error converting fieldPath: unsupported pod version: \(version)")
            ]
        }
        for map in ["metadata.labels", "metadata.annotations"]
        where field.hasPrefix(map + "['") && field.hasSuffix("']") {
            let key = String(field.dropFirst(map.count + 2).dropLast(2))
            let shown = map == "metadata.annotations" ? key.lowercased() : key
            return Formats.qualifiedName(shown).map { .invalid(path, Document(shown), $0) }
        }
        if supported.contains(field) { return [] }
        if knownPaths.contains(field) || fieldPaths.contains(field) {
            return [.notSupported(here, Document(field), supported)]
        }
        return [
            .invalid(here, Document(field), "error converting fieldPath: field label not supported: \(field)")
        ]
    }

    // MARK: Mounts

    private static func mounts(_ container: Document, _ path: String, volumes: Set<String>) -> [FieldError] {
        var errors: [FieldError] = []
        var paths: Set<String> = []
        for (index, mount) in container.list("volumeMounts").enumerated() {
            let here = "\(path).volumeMounts[\(index)]"
            if let name = mount.text("name"), !name.isEmpty, !volumes.contains(name) {
                errors.append(.notFound(here + ".name", Document(name)))
            }
            if let place = mount.text("mountPath"), !place.isEmpty, !paths.insert(place).inserted {
                errors.append(.invalid(here + ".mountPath", Document(place), "must be unique"))
            }
            errors += BlockDevices.clashes(of: mount, container, here)
            errors += PodVolumes.relative(mount["subPath"], path + ".volumeMounts.subPath")
            if mount["subPath"] != nil, mount["subPathExpr"] != nil {
                errors.append(
                    .invalid(
                        here + ".subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive"))
            }
            errors += PodVolumes.relative(mount["subPathExpr"], path + ".volumeMounts.subPathExpr")
            errors += propagation(mount, container, path + ".volumeMounts")
            errors += recursion(mount, path + ".volumeMounts.recursiveReadOnly")
        }
        return errors
    }

    static func sleep(_ container: Document, _ path: String, grace: Int) -> [FieldError] {
        var errors: [FieldError] = []
        for hook in ["postStart", "preStop"] {
            guard let seconds = container.at("lifecycle", hook, "sleep")?.number("seconds"),
                seconds < 0 || seconds > grace
            else { continue }
            errors.append(
                .invalid(
                    "\(path).lifecycle.\(hook).sleep", Document(seconds),
                    "must be non-negative and less than terminationGracePeriodSeconds (\(grace))"))
        }
        return errors
    }

    private static func propagation(_ mount: Document, _ container: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if let mode = mount.text("mountPropagation") {
            if !["Bidirectional", "HostToContainer", "None"].contains(mode) {
                errors.append(
                    .notSupported(
                        path + ".mountPropagation", Document(mode), ["Bidirectional", "HostToContainer", "None"]))
            } else if mode == "Bidirectional", container.flag("securityContext", "privileged") != true {
                errors.append(
                    .forbidden(
                        path + ".mountPropagation",
                        "Bidirectional mount propagation is available only to privileged containers"))
            }
        }
        return errors
    }

    /// Whether what is mounted below a mount is read-only like it.
    private static func recursion(_ mount: Document, _ path: String) -> [FieldError] {
        let modes = ["Disabled", "Enabled", "IfPossible"]
        guard let mode = mount.text("recursiveReadOnly"), mode != "Disabled" else { return [] }
        guard modes.contains(mode) else { return [.notSupported(path, Document(mode), modes)] }
        var errors: [FieldError] = []
        if mount.flag("readOnly") != true {
            errors.append(.forbidden(path, "may only be specified when readOnly is true"))
        }
        if let spread = mount.text("mountPropagation"), spread != "None" {
            errors.append(.forbidden(path, "may only be specified when mountPropagation is None or not specified"))
        }
        return errors
    }

    // MARK: Probes and hooks

    static func handler(_ handler: Document, _ path: String) -> [FieldError] {
        let kinds = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"].filter { handler[$0] != nil }
        if kinds.isEmpty { return [.required(path, "must specify a handler type")] }
        var errors: [FieldError] = kinds.dropFirst().map {
            .forbidden("\(path).\($0)", "may not specify more than 1 handler type")
        }
        guard let kind = kinds.first, let action = handler[kind] else { return errors }
        let here = "\(path).\(kind)"
        switch kind {
        case "exec":
            if action.list("command").isEmpty { errors.append(.required(here + ".command")) }
        case "httpGet", "tcpSocket":
            errors += portReference(action["port"] ?? 0, here + ".port")
            for header in action.list("httpHeaders") {
                errors += Formats.httpHeaderName(header.text("name") ?? "").map {
                    .invalid(here + ".httpHeaders", header["name"], $0)
                }
            }
        case "grpc":
            let port = action.number("port") ?? 0
            errors += Formats.port(port).map { .invalid(here + ".port", Document(port), $0) }
        default: break
        }
        return errors
    }

    /// A port by number or by name.
    static func portReference(_ port: Document, _ path: String) -> [FieldError] {
        if let number = port.int { return Formats.port(number).map { .invalid(path, port, $0) } }
        let name = port.string ?? ""
        if name.isEmpty {
            return [
                .invalid(path, port, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
                .invalid(path, port, "must contain at least one letter (a-z)"),
            ]
        }
        return Formats.portName(name).map { .invalid(path, port, $0) }
    }
}

/// Requests and limits.
enum ResourceValidation {
    private static let standard: Set = ["cpu", "memory", "ephemeral-storage"]

    static func check(_ resources: Document?, _ path: String) -> [FieldError] {
        guard let resources else { return [] }
        var errors: [FieldError] = []
        let limits = resources["limits"]
        for side in ["limits", "requests"] {
            for member in resources[side]?.members ?? [] {
                let here = "\(path).\(side)[\(member.key)]"
                errors += name(member.key, here)
                guard let amount = quantity(member.value) else { continue }
                if amount < .zero {
                    errors.append(.invalid(here, member.value, "must be greater than or equal to 0"))
                }
                if isExtended(member.key), amount.milliValue % 1000 != 0 {
                    errors.append(.invalid(here, member.value, "must be an integer"))
                }
                if member.key.hasPrefix(hugePages) { errors += wholePages(member.key, member.value, amount, here) }
                guard side == "requests" else { continue }
                errors += against(limits, member, amount, path + ".requests", path)
            }
        }
        let names = Set(["limits", "requests"].flatMap { (resources[$0]?.members ?? []).map(\.key) })
        if names.contains(where: { $0.hasPrefix(hugePages) }), names.isDisjoint(with: ["cpu", "memory"]) {
            errors.append(.forbidden(path, "HugePages require cpu or memory"))
        }
        return errors
    }

    static let hugePages = "hugepages-"

    /// An amount of huge pages is a number of pages of the size in the name.
    private static func wholePages(
        _ name: String, _ value: Document, _ amount: Quantity, _ path: String
    ) -> [FieldError] {
        guard let size = Quantity(String(name.dropFirst(hugePages.count))), size > .zero else {
            return [.invalid(path, Document(name), "\(name) is not a valid huge page resource")]
        }
        if amount > .zero, amount.milliValue % size.milliValue == 0 { return [] }
        let text = amount.description
        return [.invalid(path, Document(text), "\(text) is not positive integer multiple of \(name)")]
    }

    /// A resource that nodes know by themselves, which more may be asked of than there is.
    private static func isShared(_ name: String) -> Bool {
        !name.hasPrefix(hugePages) && (!name.contains("/") || name.contains("kubernetes.io/"))
    }

    private static func against(
        _ limits: Document?, _ member: Document.Member, _ amount: Quantity, _ path: String, _ parent: String
    ) -> [FieldError] {
        let shared = isShared(member.key)
        guard let limit = limits?[member.key].flatMap(quantity) else {
            return shared ? [] : [.required(parent + ".limits", "Limit must be set for non overcommitable resources")]
        }
        if !shared, amount != limit {
            return [.invalid(path, Document(amount.description), "must be equal to \(member.key) limit of \(limit)")]
        }
        if amount > limit {
            let text = "must be less than or equal to \(member.key) limit of \(limit)"
            return [.invalid(path, Document(amount.description), text)]
        }
        return []
    }

    static func quantity(_ value: Document) -> Quantity? {
        value.string.flatMap { Quantity($0) } ?? value.int.map { Quantity($0) }
    }

    private static func isExtended(_ name: String) -> Bool {
        name.contains("/") && !name.contains("kubernetes.io/") && Formats.qualifiedName(name).isEmpty
    }

    private static func name(_ name: String, _ path: String) -> [FieldError] {
        let syntax = Formats.qualifiedName(name)
        if !syntax.isEmpty {
            let standard = "doesn't follow extended resource name standard"
            return (syntax + [standard]).map { .invalid(path, Document(name), $0) }
        }
        if name.contains("/") || standard.contains(name) || name.hasPrefix("hugepages-") { return [] }
        var errors: [FieldError] = []
        if !["storage", "pods", "services", "secrets", "configmaps"].contains(name) {
            errors.append(
                .invalid(path, Document(name), "must be a standard resource type or fully qualified"))
        }
        return errors + [.invalid(path, Document(name), "must be a standard resource for containers")]
    }
}
