import Document
import Kinds
import Schema

/// A Service that changes its type leaves behind what only the old type had, unless the writer changed that too:
/// then it was meant, and validation says what is wrong with it.
enum ServiceTypeChange {
    static func dropStale(_ service: inout Document, old: Document, resource: ResourceInfo) {
        guard resource.qualifiedName == "services" else { return }
        let (before, now) = (type(old), type(service))
        guard before != now else { return }
        func isSame(_ field: String) -> Bool {
            (service.at("spec", field) ?? .null).means(old.at("spec", field) ?? .null)
        }
        func drop(_ fields: [String]) {
            for field in fields where isSame(field) { service.set(nil, at: "spec", field) }
        }
        if now == "ExternalName" {
            drop(["clusterIPs", "clusterIP", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"])
        }
        let (hadPorts, hasPorts) = (exposesPorts(before), exposesPorts(now))
        if hadPorts, !hasPorts {
            if nodePorts(service) == nodePorts(old) {
                let ports = service.list("spec", "ports").map { port in
                    var port = port
                    port["nodePort"] = nil
                    return port
                }
                if !ports.isEmpty { service.set(Document(ports), at: "spec", "ports") }
            }
            if service.list("spec", "externalIPs").isEmpty { drop(["externalTrafficPolicy"]) }
        }
        if before == "LoadBalancer" {
            drop(["healthCheckNodePort", "allocateLoadBalancerNodePorts", "loadBalancerClass"])
        }
    }

    private static func type(_ service: Document) -> String { service.text("spec", "type") ?? "ClusterIP" }
    private static func exposesPorts(_ type: String) -> Bool { type == "NodePort" || type == "LoadBalancer" }
    private static func nodePorts(_ service: Document) -> [Int] {
        service.list("spec", "ports").map { $0.number("nodePort") ?? 0 }
    }
}
