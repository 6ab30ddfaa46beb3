import Basics
import Document
import Schema

extension KindRules {
    static let networkPolicy: KindRules = {
        var rules = KindRules()
        rules.applyDefaults = { NetworkPolicyRules.complete(&$0) }
        rules.validateCreate = { NetworkPolicyRules.validate($0) }
        rules.cells = { [Cells.selector($0.at("spec", "podSelector")), Cells.age($0, now: $1)] }
        return rules
    }()
}

enum NetworkPolicyRules {
    /// A policy that does not say its directions is about those that it has rules for, and always about ingress.
    static func complete(_ policy: inout Document) {
        guard policy["spec"]?.isObject == true, policy.list("spec", "policyTypes").isEmpty else { return }
        let types: Document = policy.list("spec", "egress").isEmpty ? ["Ingress"] : ["Ingress", "Egress"]
        policy.set(types, at: "spec", "policyTypes")
    }

    static func validate(_ policy: Document) -> [FieldError] {
        let spec = policy["spec"] ?? .emptyObject
        var errors = MetadataRules.labelSelector(spec["podSelector"], "spec.podSelector")
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            for (index, rule) in spec.list(direction).enumerated() {
                let here = "spec.\(direction)[\(index)]"
                for (place, port) in rule.list("ports").enumerated() {
                    errors += self.port(port, "\(here).ports[\(place)]")
                }
                for (place, peer) in rule.list(peers).enumerated() {
                    errors += self.peer(peer, "\(here).\(peers)[\(place)]")
                }
            }
        }
        return errors + types(spec)
    }

    private static func types(_ spec: Document) -> [FieldError] {
        let known = ["Ingress", "Egress"]
        let types = spec.list("policyTypes")
        if types.count > known.count {
            return [.invalid("spec.policyTypes", spec["policyTypes"], "may not specify more than two policyTypes")]
        }
        return types.enumerated().compactMap { index, type in
            known.contains(type.string ?? "") ? nil : .notSupported("spec.policyTypes[\(index)]", type, known)
        }
    }

    private static func port(_ port: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let protocols = ["TCP", "UDP", "SCTP"]
        if let name = port["protocol"], !protocols.contains(name.string ?? "") {
            errors.append(.notSupported(path + ".protocol", name, protocols))
        }
        let end = port["endPort"]
        func wrongEnd(_ why: String) -> FieldError { .invalid(path + ".endPort", end, why) }
        guard let value = port["port"] else {
            return end == nil ? errors : errors + [wrongEnd("may not be specified when `port` is not specified")]
        }
        if let number = value.int {
            errors += Formats.port(number).map { .invalid(path + ".port", value, $0) }
            guard let last = end?.int else { return errors }
            // What is shown is the number that the end falls short of.
            if last < number {
                errors.append(.invalid(path + ".endPort", value, "must be greater than or equal to `port`"))
            }
            return errors + Formats.port(last).map(wrongEnd)
        }
        if end != nil { errors.append(wrongEnd("may not be specified when `port` is non-numeric")) }
        return errors + Formats.portName(value.string ?? "").map { .invalid(path + ".port", value, $0) }
    }

    private static func peer(_ peer: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        var count = 0
        for field in ["podSelector", "namespaceSelector"] {
            guard let selector = peer[field] else { continue }
            count += 1
            errors += MetadataRules.labelSelector(selector, "\(path).\(field)")
        }
        guard let block = peer["ipBlock"] else {
            return count == 0 ? [.required(path, "must specify a peer")] : errors
        }
        errors += self.block(block, path + ".ipBlock")
        if count > 0 { errors.append(.forbidden(path, "may not specify both ipBlock and another peer")) }
        return errors
    }

    private static func block(_ block: Document, _ path: String) -> [FieldError] {
        let text = block.text("cidr") ?? ""
        guard !text.isEmpty else { return [.required(path + ".cidr")] }
        var errors = AddressSyntax.rangeErrors(text, path + ".cidr")
        guard let range = CIDR(text) else { return errors }
        for (index, exception) in block.list("except").enumerated() {
            let here = "\(path).except[\(index)]"
            errors += AddressSyntax.rangeErrors(exception.string ?? "", here)
            guard let part = CIDR(exception.string ?? "") else { continue }
            if !range.contains(part) || part.prefix == range.prefix {
                errors.append(.invalid(here, exception, "must be a strict subset of `cidr`"))
            }
        }
        return errors
    }
}
