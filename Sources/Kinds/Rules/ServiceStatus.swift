import Basics
import Document
import Schema

/// The state of a Service's load balancer, and what its writer should know.
extension ServiceRules {
    private static let ways = ["Proxy", "VIP"]

    /// An address that does not say how packets arrive at it takes them as they are.
    static func completeStatus(_ service: inout Document) {
        let entries = service.list("status", "loadBalancer", "ingress")
        guard entries.contains(where: { !($0.text("ip") ?? "").isEmpty && $0["ipMode"] == nil }) else { return }
        let completed = entries.map { entry in
            var entry = entry
            if !(entry.text("ip") ?? "").isEmpty, entry["ipMode"] == nil { entry["ipMode"] = "VIP" }
            return entry
        }
        service.set(Document(completed), at: "status", "loadBalancer", "ingress")
    }

    static func validateStatus(_ service: Document) -> [FieldError] {
        let entries = service.list("status", "loadBalancer", "ingress")
        let path = "status.loadBalancer.ingress"
        if !entries.isEmpty, service.text("spec", "type") != "LoadBalancer" {
            return [.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
        }
        return entries.enumerated().flatMap { ingress($1, "\(path)[\($0)]") }
    }

    private static func ingress(_ entry: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let address = entry.text("ip") ?? ""
        if !address.isEmpty { errors += AddressSyntax.addressErrors(address, path + ".ip") }
        if let way = entry["ipMode"] {
            if address.isEmpty {
                errors.append(.forbidden(path + ".ipMode", "may not be specified when `ip` is not set"))
            } else if !ways.contains(way.string ?? "") {
                errors.append(.notSupported(path + ".ipMode", way, ways))
            }
        } else if !address.isEmpty {
            errors.append(.required(path + ".ipMode", "must be specified when `ip` is set"))
        }
        if let name = entry.text("hostname"), !name.isEmpty {
            errors += Formats.dnsSubdomain(name).map { .invalid(path + ".hostname", Document(name), $0) }
            if IPAddress(name) != nil {
                errors.append(
                    .invalid(path + ".hostname", Document(name), "must be a DNS name, not an IP address"))
            }
        }
        return errors
    }

    static func warnings(_ service: Document) -> [String] {
        let spec = service["spec"] ?? .emptyObject
        var warnings: [String] = []
        let hints = "service.kubernetes.io/topology-aware-hints"
        if service.at("metadata", "annotations", hints) != nil {
            warnings.append(
                "annotation \(hints) is deprecated, please use service.kubernetes.io/topology-mode instead")
        }
        let external = spec.list("externalIPs")
        if spec.text("clusterIP") == "None" {
            if !(spec.text("loadBalancerIP") ?? "").isEmpty {
                warnings.append("spec.loadBalancerIP is ignored for headless services")
            }
            if !external.isEmpty { warnings.append("spec.externalIPs is ignored for headless services") }
            if let affinity = spec.text("sessionAffinity"), affinity != "None" {
                warnings.append("spec.SessionAffinity is ignored for headless services")
            }
        }
        if !external.isEmpty {
            warnings.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
        }
        for field in ["clusterIPs", "externalIPs"] {
            for (index, address) in spec.list(field).enumerated() {
                warnings += canonical(address.string ?? "", "spec.\(field)[\(index)]")
            }
        }
        if let address = spec.text("loadBalancerIP") { warnings += canonical(address, "spec.loadBalancerIP") }
        if spec.text("trafficDistribution") == "PreferClose" {
            warnings.append("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"")
        }
        return warnings
    }

    private static func canonical(_ text: String, _ path: String) -> [String] {
        guard let address = IPAddress(text), address.isIPv6, address.description != text else { return [] }
        return ["\(path): IPv6 address \"\(text)\" should be in RFC 5952 canonical format (\"\(address)\")"]
    }
}
