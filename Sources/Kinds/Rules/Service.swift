import Basics
import Document
import Schema

extension KindRules {
    static let service: KindRules = {
        var rules = KindRules()
        rules.nameSyntax = .dnsLabel
        rules.applyDefaults = { ServiceRules.complete(&$0) }
        rules.prepareForCreate = { service, _ in
            service["status"] = ["loadBalancer": [:]]
            ServiceAddressRules.align(&service, old: nil)
        }
        rules.prepareForUpdate = { service, old, _ in
            service["status"] = old["status"]
            if ServiceRules.losesLoadBalancer(service, old: old) { service.set([:], at: "status", "loadBalancer") }
            ServiceRules.keepAllocations(&service, old: old)
            ServiceAddressRules.align(&service, old: old)
            ServiceRules.dropTrafficPolicy(&service, old: old)
        }
        rules.validateCreate = { ServiceRules.validate($0) }
        rules.validateUpdate = { ServiceRules.validateUpdate($0, old: $1) }
        rules.validateStatusUpdate = { service, _ in ServiceRules.validateStatus(service) }
        rules.warnings = { service, _ in ServiceRules.warnings(service) }
        rules.selectableFields = { service in
            [
                ("spec.clusterIP", service.text("spec", "clusterIP") ?? ""),
                ("spec.type", service.text("spec", "type") ?? ""),
            ]
        }
        rules.cells = { ServiceColumns.service($0, now: $1) }
        return rules
    }()
}

enum ServiceRules {
    private static func type(_ service: Document) -> String { service.text("spec", "type") ?? "ClusterIP" }

    static func losesLoadBalancer(_ service: Document, old: Document) -> Bool {
        type(old) == "LoadBalancer" && type(service) != "LoadBalancer"
    }

    static func complete(_ service: inout Document) {
        guard var spec = service["spec"], spec.isObject else { return }
        let type = spec.text("type") ?? "ClusterIP"
        if spec.text("sessionAffinity") == "ClientIP" {
            if spec.at("sessionAffinityConfig", "clientIP", "timeoutSeconds") == nil {
                spec.set(10_800, at: "sessionAffinityConfig", "clientIP", "timeoutSeconds")
            }
        }
        if spec.text("sessionAffinity") == "None" { spec["sessionAffinityConfig"] = nil }
        if let ports = spec["ports"], ports.isArray {
            spec["ports"] = Document(
                ports.elements.map { port in
                    var port = port
                    let target = port["targetPort"]
                    if target == nil || target?.int == 0 || target?.string == "" {
                        port["targetPort"] = port["port"] ?? 0
                    }
                    return port
                })
        }
        let isExternal = type == "NodePort" || type == "LoadBalancer"
        if spec["externalTrafficPolicy"] == nil, isReachable(spec) {
            spec["externalTrafficPolicy"] = "Cluster"
        }
        if spec["internalTrafficPolicy"] == nil, isExternal || type == "ClusterIP" {
            spec["internalTrafficPolicy"] = "Cluster"
        }
        if type == "LoadBalancer", spec["allocateLoadBalancerNodePorts"] == nil {
            spec["allocateLoadBalancerNodePorts"] = true
        }
        service["spec"] = spec
        if type == "LoadBalancer" { completeStatus(&service) }
    }

    /// What was allocated stays when an update does not mention it.
    static func keepAllocations(_ service: inout Document, old: Document) {
        let (before, now) = (type(old), type(service))
        guard before != "ExternalName", now != "ExternalName" else { return }
        ServiceAddressRules.keep(&service, old: old)
        for field in ["ipFamilies", "ipFamilyPolicy"] where service.at("spec", field) == nil {
            if let value = old.at("spec", field) { service.set(value, at: "spec", field) }
        }
        guard now == "NodePort" || now == "LoadBalancer", before == "NodePort" || before == "LoadBalancer" else {
            return
        }
        let known = old.list("spec", "ports")
        let ports = service.list("spec", "ports").map { port in
            var port = port
            if (port.number("nodePort") ?? 0) == 0,
                let same = known.first(where: { $0["port"] == port["port"] && $0["protocol"] == port["protocol"] })
            {
                port["nodePort"] = same["nodePort"]
            }
            return port
        }
        service.set(Document(ports), at: "spec", "ports")
    }

    /// Whether traffic from outside the cluster can get to the service.
    private static func isReachable(_ spec: Document) -> Bool {
        switch spec.text("type") ?? "ClusterIP" {
        case "NodePort", "LoadBalancer": true
        case "ClusterIP": !spec.list("externalIPs").isEmpty
        default: false
        }
    }

    /// The policy for traffic from outside goes with the last way in, unless the writer changed it too.
    static func dropTrafficPolicy(_ service: inout Document, old: Document) {
        guard let spec = service["spec"], let before = old["spec"], isReachable(before), !isReachable(spec),
            spec.text("externalTrafficPolicy") == before.text("externalTrafficPolicy")
        else { return }
        service.set(nil, at: "spec", "externalTrafficPolicy")
    }

    static func validate(_ service: Document) -> [FieldError] {
        let spec = service["spec"] ?? .emptyObject
        let type = type(service)
        // Nothing else is looked at before the addresses can be given out.
        let faults = ServiceAddressRules.errors(spec)
        if !faults.isEmpty { return faults }
        var errors: [FieldError] = []
        let headless = spec.text("clusterIP") == "None"
        let ports = spec.list("ports")
        if ports.isEmpty, !headless, type != "ExternalName" { errors.append(.required("spec.ports")) }
        if type == "ExternalName" {
            errors += externalName(spec)
        } else if headless, type == "NodePort" || type == "LoadBalancer" {
            errors.append(
                .invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for \(type) services"))
        }
        errors += portList(ports, type: type)
        errors += MetadataRules.labels(spec["selector"], "spec.selector")
        if let seconds = spec.number("sessionAffinityConfig", "clientIP", "timeoutSeconds"),
            spec.text("sessionAffinity") == "ClientIP", seconds <= 0 || seconds > 86_400
        {
            errors.append(
                .invalid(
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds", Document(seconds),
                    "must be greater than 0 and less than 86400"))
        }
        errors += externalAddresses(spec)
        return errors + loadBalancer(spec, type: type) + traffic(spec)
    }

    private static let distributions = ["PreferClose", "PreferSameZone", "PreferSameNode"]

    private static func traffic(_ spec: Document) -> [FieldError] {
        var errors: [FieldError] = []
        if let policy = spec.text("externalTrafficPolicy"), !policy.isEmpty, !isReachable(spec) {
            errors.append(
                .invalid(
                    "spec.externalTrafficPolicy", Document(policy),
                    "may only be set for externally-accessible services"))
        }
        errors += healthCheck(spec)
        if let wanted = spec["trafficDistribution"], !wanted.isNull, !distributions.contains(wanted.string ?? "") {
            errors.append(.notSupported("spec.trafficDistribution", wanted, distributions))
        }
        return errors
    }

    private static func externalName(_ spec: Document) -> [FieldError] {
        let text = "may not be set for ExternalName services"
        var errors: [FieldError] = []
        for field in ["clusterIPs", "ipFamilies"] where !spec.list(field).isEmpty {
            errors.append(.forbidden("spec." + field, text))
        }
        if spec["ipFamilyPolicy"] != nil { errors.append(.forbidden("spec.ipFamilyPolicy", text)) }
        let name = spec.text("externalName") ?? ""
        if name.isEmpty { return errors + [.required("spec.externalName")] }
        let bare = name.hasSuffix(".") ? String(name.dropLast()) : name
        return errors + Formats.dnsSubdomain(bare).map { .invalid("spec.externalName", Document(name), $0) }
    }

    private static func portList(_ ports: [Document], type: String) -> [FieldError] {
        var errors: [FieldError] = []
        var names: Set<String> = []
        var numbers: Set<String> = []
        for (index, port) in ports.enumerated() {
            let here = "spec.ports[\(index)]"
            let name = port.text("name") ?? ""
            if name.isEmpty {
                if ports.count > 1 { errors.append(.required(here + ".name")) }
            } else {
                let wrong = Formats.dnsLabel(name)
                errors += wrong.map { .invalid(here + ".name", Document(name), $0) }
                if wrong.isEmpty, !names.insert(name).inserted {
                    errors.append(.duplicate(here + ".name", Document(name)))
                }
            }
            errors += ContainerValidation.portReference(port["targetPort"] ?? 0, here + ".targetPort")
            if let node = port.number("nodePort"), node != 0, type == "ClusterIP" {
                errors.append(.forbidden(here + ".nodePort", "may not be used when `type` is 'ClusterIP'"))
            }
            let key = "\(port.text("protocol") ?? "")/\(port.number("port") ?? 0)"
            if !numbers.insert(key).inserted {
                let shown: Document = [
                    "Name": "", "Protocol": port["protocol"] ?? "", "AppProtocol": nil, "Port": port["port"] ?? 0,
                    "TargetPort": 0, "NodePort": 0,
                ]
                errors.append(.duplicate(here, shown))
            }
        }
        return errors
    }

    private static func externalAddresses(_ spec: Document) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, address) in spec.list("externalIPs").enumerated() {
            let here = "spec.externalIPs[\(index)]"
            let text = address.string ?? ""
            let wrong = AddressSyntax.addressErrors(text, here)
            errors += wrong
            if wrong.isEmpty { errors += AddressRules.notSpecial(text).map { .invalid(here, address, $0) } }
        }
        return errors
    }

    private static func loadBalancer(_ spec: Document, type: String) -> [FieldError] {
        if type == "LoadBalancer" {
            return ranges(spec)
                + (spec.text("loadBalancerClass").map { name in
                    Formats.qualifiedName(name).map { .invalid("spec.loadBalancerClass", Document(name), $0) }
                } ?? [])
        }
        var errors: [FieldError] = []
        if !spec.list("loadBalancerSourceRanges").isEmpty {
            errors.append(
                .forbidden("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'"))
        }
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] where spec[field] != nil {
            errors.append(.forbidden("spec." + field, "may only be used when `type` is 'LoadBalancer'"))
        }
        return errors
    }

    private static func healthCheck(_ spec: Document) -> [FieldError] {
        guard let port = spec.number("healthCheckNodePort"), port != 0 else { return [] }
        if spec.text("type") == "LoadBalancer", spec.text("externalTrafficPolicy") == "Local" { return [] }
        let text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        return [.invalid("spec.healthCheckNodePort", Document(port), text)]
    }

    private static func ranges(_ spec: Document) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, range) in spec.list("loadBalancerSourceRanges").enumerated() {
            errors += AddressSyntax.rangeErrors(range.string ?? "", "spec.LoadBalancerSourceRanges[\(index)]")
        }
        return errors
    }

    static func validateUpdate(_ new: Document, old: Document) -> [FieldError] {
        guard ServiceAddressRules.errors(new["spec"] ?? .emptyObject).isEmpty else { return [] }
        var errors: [FieldError] = []
        let name = new.at("spec", "loadBalancerClass")
        if type(new) == "LoadBalancer", type(old) == "LoadBalancer", name != old.at("spec", "loadBalancerClass") {
            errors.append(.invalid("spec.loadBalancerClass", name ?? .null, "may not change once set"))
        }
        guard type(new) != "ExternalName", type(old) != "ExternalName" else { return errors }
        return errors + ServiceAddressRules.change(new["spec"] ?? .emptyObject, old: old["spec"] ?? .emptyObject)
    }
}

/// Addresses that cannot be a destination outside the machine.
enum AddressRules {
    static func notSpecial(_ text: String) -> [String] {
        func lies(_ cidr: String) -> Bool {
            guard let range = CIDR(cidr), let address = IPAddress(text) else { return false }
            return range.contains(address)
        }
        if text == "0.0.0.0" || text == "::" { return ["may not be unspecified (\(text))"] }
        if lies("127.0.0.0/8") || text == "::1" { return ["may not be in the loopback range (127.0.0.0/8, ::1/128)"] }
        if lies("169.254.0.0/16") || lies("fe80::/10") {
            return ["may not be in the link-local range (169.254.0.0/16, fe80::/10)"]
        }
        if lies("224.0.0.0/24") || lies("ff02::/10") {
            return ["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"]
        }
        return []
    }
}
