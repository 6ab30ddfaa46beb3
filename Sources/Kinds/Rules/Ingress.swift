import Basics
import Document
import Schema

extension KindRules {
    static let ingress: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { ingress, _ in ingress["status"] = ["loadBalancer": [:]] }
        rules.validateCreate = { IngressRules.validate($0) }
        rules.validateNew = { IngressRules.validateClass($0) }
        rules.validateStatusUpdate = { new, _ in IngressRules.validateStatus(new) }
        rules.warnings = { ingress, old in
            guard old == nil, ingress.at("metadata", "annotations", IngressRules.classAnnotation) != nil else {
                return []
            }
            return [
                "annotation \"\(IngressRules.classAnnotation)\" is deprecated, please use 'spec.ingressClassName' instead"
            ]
        }
        rules.cells = { NetworkingColumns.ingress($0, now: $1) }
        return rules
    }()

    static let ingressClass: KindRules = {
        var rules = KindRules()
        rules.validateCreate = { IngressRules.validateClassObject($0) }
        rules.validateUpdate = { new, old in
            let (controller, before) = (new.at("spec", "controller"), old.at("spec", "controller"))
            return controller == before
                ? [] : [.invalid("spec.controller", controller, "field is immutable")]
        }
        rules.cells = { NetworkingColumns.ingressClass($0, now: $1) }
        return rules
    }()
}

enum IngressRules {
    static let classAnnotation = "kubernetes.io/ingress.class"

    static func validate(_ ingress: Document) -> [FieldError] {
        let spec = ingress["spec"] ?? .emptyObject
        var errors: [FieldError] = []
        let rules = spec.list("rules")
        if rules.isEmpty, spec["defaultBackend"] == nil {
            errors.append(.invalid("spec", .some(.null), "either `defaultBackend` or `rules` must be specified"))
        }
        if let backend = spec["defaultBackend"] { errors += self.backend(backend, "spec.defaultBackend") }
        for (index, rule) in rules.enumerated() { errors += self.rule(rule, "spec.rules[\(index)]") }
        for (index, entry) in spec.list("tls").enumerated() { errors += encryption(entry, "spec.tls[\(index)]") }
        if let name = spec.text("ingressClassName") {
            errors += Formats.dnsSubdomain(name).map { .invalid("spec.ingressClassName", Document(name), $0) }
        }
        return errors
    }

    /// The old way to name the class may stand beside the new one as long as both say the same.
    static func validateClass(_ ingress: Document) -> [FieldError] {
        guard let noted = ingress.at("metadata", "annotations", classAnnotation)?.string,
            let name = ingress.text("spec", "ingressClassName"), noted != name
        else { return [] }
        let text = "must match `ingressClassName` when both are specified"
        return [.invalid("annotations." + classAnnotation, Document(noted), text)]
    }

    static func validateStatus(_ ingress: Document) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, entry) in ingress.list("status", "loadBalancer", "ingress").enumerated() {
            let here = "status.loadBalancer.ingress[\(index)]"
            if let text = entry.text("ip"), !text.isEmpty { errors += AddressSyntax.addressErrors(text, here + ".ip") }
            if let name = entry.text("hostname"), !name.isEmpty {
                errors += Formats.dnsSubdomain(name).map { .invalid(here + ".hostname", Document(name), $0) }
                errors += notAddress(name, here + ".hostname")
            }
        }
        return errors
    }

    private static func notAddress(_ name: String, _ path: String) -> [FieldError] {
        IPAddress(name) == nil ? [] : [.invalid(path, Document(name), "must be a DNS name, not an IP address")]
    }

    private static func host(_ name: String, _ path: String) -> [FieldError] {
        let wrong = name.contains("*") ? Formats.wildcardSubdomain(name) : Formats.dnsSubdomain(name)
        return wrong.map { .invalid(path, Document(name), $0) }
    }

    private static func encryption(_ entry: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, name) in entry.list("hosts").enumerated() {
            errors += host(name.string ?? "", "\(path).hosts[\(index)]")
        }
        if let name = entry.text("secretName"), !name.isEmpty {
            errors += Formats.dnsSubdomain(name).map { .invalid(path + ".secretName", Document(name), $0) }
        }
        return errors
    }

    private static func rule(_ rule: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if let name = rule.text("host"), !name.isEmpty {
            errors += notAddress(name, path + ".host") + host(name, path + ".host")
        }
        guard let routes = rule["http"], routes.isObject else { return errors }
        let paths = routes.list("paths")
        if paths.isEmpty { errors.append(.required(path + ".http.paths")) }
        for (index, route) in paths.enumerated() { errors += self.route(route, "\(path).http.paths[\(index)]") }
        return errors
    }

    private static func route(_ route: Document, _ path: String) -> [FieldError] {
        guard let type = route.text("pathType") else {
            return [.required(path + ".pathType", "pathType must be specified")]
        }
        let text = route.text("path") ?? ""
        func wrong(_ why: String) -> FieldError { .invalid(path + ".path", Document(text), why) }
        var errors: [FieldError] = []
        switch type {
        case "Exact", "Prefix":
            if !text.hasPrefix("/") { errors.append(wrong("must be an absolute path")) }
            for part in ["//", "/./", "/../", "%2f", "%2F"] where text.contains(part) {
                errors.append(wrong("must not contain '\(part)'"))
            }
            for end in ["/..", "/."] where text.hasSuffix(end) { errors.append(wrong("cannot end with '\(end)'")) }
        case "ImplementationSpecific":
            if !text.isEmpty, !text.hasPrefix("/") { errors.append(wrong("must be an absolute path")) }
        default:
            errors.append(
                .notSupported(path + ".pathType", Document(type), ["Exact", "ImplementationSpecific", "Prefix"]))
        }
        return errors + backend(route["backend"] ?? .emptyObject, path + ".backend")
    }

    private static func backend(_ backend: Document, _ path: String) -> [FieldError] {
        let (resource, service) = (backend["resource"], backend["service"])
        switch (resource, service) {
        case (.some, .some): return [.invalid(path, "", "cannot set both resource and service backends")]
        case (.some(let resource), .none): return reference(resource, path + ".resource")
        case (.none, .some(let service)): return self.service(service, path)
        case (.none, .none): return [.invalid(path, "", "resource or service backend is required")]
        }
    }

    private static func service(_ service: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let name = service.text("name") ?? ""
        if name.isEmpty {
            errors.append(.required(path + ".service.name"))
        } else {
            errors += Formats.dnsLabel(name).map { .invalid(path + ".service.name", Document(name), $0) }
        }
        let (port, number) = (service.text("port", "name") ?? "", service.number("port", "number") ?? 0)
        let here = path + ".service.port"
        switch (port.isEmpty, number == 0) {
        case (false, false): errors.append(.invalid(path, "", "cannot set both port name & port number"))
        case (false, true): errors += Formats.portName(port).map { .invalid(here + ".name", Document(port), $0) }
        case (true, false): errors += Formats.port(number).map { .invalid(here + ".number", Document(number), $0) }
        case (true, true): errors.append(.required(path, "port name or number is required"))
        }
        return errors
    }

    /// Kind and name of an object, which have to fit into a URL's path.
    private static func reference(_ reference: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if let group = reference.text("apiGroup") {
            errors += Formats.dnsSubdomain(group).map { .invalid(path + ".apiGroup", Document(group), $0) }
        }
        for field in ["kind", "name"] {
            let text = reference.text(field) ?? ""
            if text.isEmpty {
                errors.append(.required("\(path).\(field)"))
            } else {
                errors += Formats.pathSegment(text).map { .invalid("\(path).\(field)", Document(text), $0) }
            }
        }
        return errors
    }

    // MARK: Classes

    private static let longestController = 250

    static func validateClassObject(_ object: Document) -> [FieldError] {
        var errors: [FieldError] = []
        let controller = object.text("spec", "controller") ?? ""
        if controller.isEmpty {
            errors.append(.required("spec.controller"))
        } else {
            if controller.utf8.count > longestController {
                errors.append(.tooLong("spec.controller", limit: longestController))
            }
            errors += domainPath(controller, "spec.controller")
        }
        guard let parameters = object.at("spec", "parameters"), parameters.isObject else { return errors }
        return errors + reference(parameters, "spec.parameters") + scope(parameters, "spec.parameters")
    }

    private static func domainPath(_ text: String, _ path: String) -> [FieldError] {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
            return [
                .invalid(path, Document(text), "must be a domain-prefixed path (such as \"acme.io/foo\")")
            ]
        }
        var errors: [FieldError] = Formats.dnsSubdomain(parts[0]).map { .invalid(path, Document(parts[0]), $0) }
        if !Formats.isDomainPath(parts[1]) {
            let text = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
            errors.append(.invalid(path, Document(parts[1]), text))
        }
        return errors
    }

    private static func scope(_ parameters: Document, _ path: String) -> [FieldError] {
        let namespace = parameters["namespace"]
        switch parameters.text("scope") {
        case nil: return [.required(path + ".scope")]
        case "Namespace":
            guard let namespace else {
                return [.required(path + ".namespace", "`parameters.scope` is set to 'Namespace'")]
            }
            return Formats.dnsLabel(namespace.string ?? "").map { .invalid(path + ".namespace", namespace, $0) }
        case "Cluster":
            return namespace == nil
                ? [] : [.forbidden(path + ".namespace", "`parameters.scope` is set to 'Cluster'")]
        default:
            return [.notSupported(path + ".scope", parameters["scope"], ["Cluster", "Namespace"])]
        }
    }
}
