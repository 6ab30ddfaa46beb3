import Document
import Schema

extension KindRules {
    static let apiService: KindRules = {
        var rules = KindRules()
        rules.plainFinalizers = true
        rules.nameSyntax = .anything
        rules.prepareForCreate = { service, _ in service["status"] = nil }
        rules.prepareForStatusUpdate = { new, old, _ in new["spec"] = old["spec"] }
        rules.validateNew = { APIServiceRules.validate($0) }
        rules.validateUpdate = { new, _ in APIServiceRules.validate(new) }
        rules.cells = { service, now in
            let target = service.at("spec", "service")
            let place = target.map { "\($0.text("namespace") ?? "")/\($0.text("name") ?? "")" } ?? "Local"
            return [Document(place), Document(APIServiceRules.availability(service)), Cells.age(service, now: now)]
        }
        return rules
    }()
}

public enum APIServiceRules {
    /// `True`, or what stands in the way.
    static func availability(_ service: Document) -> String {
        let condition = service.list("status", "conditions").first { $0.text("type") == "Available" }
        guard let condition else { return "Unknown" }
        let status = condition.text("status") ?? ""
        return status == "True" ? status : "\(status) (\(condition.text("reason") ?? ""))"
    }

    static func validate(_ service: Document) -> [FieldError] {
        let spec = service["spec"] ?? .emptyObject
        let (group, version) = (spec.text("group") ?? "", spec.text("version") ?? "")
        let name = service.text("metadata", "name") ?? ""
        let wanted = "\(version).\(group)"
        var errors: [FieldError] = []
        func invalid(_ field: String, _ value: Document, _ why: String) {
            errors.append(.invalid(field, value, why))
        }
        let faults = Formats.pathSegment(name)
        if !faults.isEmpty {
            for fault in faults { invalid("metadata.name", Document(name), fault) }
        } else if name != wanted {
            invalid(
                "metadata.name", Document(name),
                "must be `spec.version+\".\"+spec.group`: \(Document(wanted).jsonText)")
        }
        if group.isEmpty, version != "v1" {
            errors.append(
                .required("spec.group", "only v1 may have an empty group and it better be legacy kube"))
        }
        if !group.isEmpty {
            for fault in Formats.dnsSubdomain(group) { invalid("spec.group", Document(group), fault) }
        }
        for fault in Formats.rfc1035Label(version) { invalid("spec.version", Document(version), fault) }
        for (field, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)] {
            let value = spec.number(field) ?? 0
            if value <= 0 || value > most {
                invalid("spec.\(field)", Document(value), "must be positive and less than \(most)")
            }
        }
        return errors + target(spec)
    }

    private static func target(_ spec: Document) -> [FieldError] {
        let bundle = spec.text("caBundle") ?? ""
        let isInsecure = spec.flag("insecureSkipTLSVerify") ?? false
        guard let service = spec["service"], service.isObject else {
            var errors: [FieldError] = []
            if !bundle.isEmpty {
                let size = bundle.utf8.count / 4 * 3 - bundle.utf8.suffix(2).count { $0 == UInt8(ascii: "=") }
                errors.append(
                    .invalid("spec.caBundle", Document("\(size) bytes"), "local APIServices may not have a caBundle"))
            }
            if isInsecure {
                errors.append(
                    .invalid(
                        "spec.insecureSkipTLSVerify", true, "local APIServices may not have insecureSkipTLSVerify"))
            }
            return errors
        }
        var errors: [FieldError] = []
        for field in ["namespace", "name"] where (service.text(field) ?? "").isEmpty {
            errors.append(.required("spec.service.\(field)"))
        }
        let port = service.number("port") ?? 443
        let faults = Formats.port(port)
        if !faults.isEmpty {
            errors.append(
                .invalid(
                    "spec.service.port", Document(port), "port is not valid: " + faults.joined(separator: ",")))
        }
        if isInsecure, !bundle.isEmpty {
            errors.append(
                .invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present"))
        }
        return errors
    }
}
