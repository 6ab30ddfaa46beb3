import Basics
import Document

enum NetworkingColumns {
    static func ingress(_ ingress: Document, now: Timestamp) -> [Document] {
        let rules = ingress.list("spec", "rules")
        let hosts = rules.compactMap { $0.text("host") }.filter { !$0.isEmpty }
        let shown = hosts.prefix(3).joined(separator: ",")
        let addresses = ingress.list("status", "loadBalancer", "ingress").compactMap { entry in
            [entry.text("ip"), entry.text("hostname")].compactMap { $0 }.first { !$0.isEmpty }
        }
        return [
            Cells.orNone(ingress.text("spec", "ingressClassName")),
            Document(hosts.isEmpty ? "*" : hosts.count > 3 ? "\(shown) + \(rules.count - 3) more..." : shown),
            Document(Set(addresses).sorted().joined(separator: ",")),
            ingress.list("spec", "tls").isEmpty ? "80" : "80, 443", Cells.age(ingress, now: now),
        ]
    }

    static func ingressClass(_ object: Document, now: Timestamp) -> [Document] {
        var parameters = Cells.none
        if let reference = object.at("spec", "parameters") {
            let group = reference.text("apiGroup").map { "." + $0 } ?? ""
            parameters = Document("\(reference.text("kind") ?? "")\(group)/\(reference.text("name") ?? "")")
        }
        return [object.at("spec", "controller") ?? "", parameters, Cells.age(object, now: now)]
    }

    /// Rows have an age although no column is declared for it: clients know it from the kind's first days.
    static func address(_ address: Document, now: Timestamp) -> [Document] {
        guard let parent = address.at("spec", "parentRef") else { return [Cells.none, Cells.age(address, now: now)] }
        var resource = parent.text("resource") ?? ""
        if let group = parent.text("group"), !group.isEmpty { resource += "." + group }
        let parts = [resource, parent.text("namespace") ?? "", parent.text("name") ?? ""].filter { !$0.isEmpty }
        return [Document(parts.joined(separator: "/")), Cells.age(address, now: now)]
    }
}
