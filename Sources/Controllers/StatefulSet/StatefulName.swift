import Document
import Kinds

/// The names of a stateful set's pods: `<set>-<ordinal>`.
struct StatefulName {
    let ordinal: Int

    /// Nil where the pod's name is not of this set.
    init?(of pod: Document, in set: Document) {
        let name = pod.name.utf8
        let prefix = set.name.utf8
        guard name.count > prefix.count + 1, name.starts(with: prefix) else { return nil }
        let rest = name.dropFirst(prefix.count)
        let digits = rest.dropFirst()
        guard rest.first == UInt8(ascii: "-"), digits.allSatisfy({ (48...57).contains($0) }),
            let ordinal = Int32(String(decoding: digits, as: UTF8.self))
        else { return nil }
        self.ordinal = Int(ordinal)
    }

    static func make(_ set: Document, _ ordinal: Int) -> String { "\(set.name)-\(ordinal)" }
}

/// The claims that a stateful set makes for each of its pods: `<template>-<set>-<ordinal>`.
struct ClaimTemplates {
    private let set: Document
    private let templates: [Document]

    init(_ set: Document) {
        self.set = set
        templates = set.list("spec", "volumeClaimTemplates")
    }

    var isEmpty: Bool { templates.isEmpty }

    /// Whether this set makes a claim of this name for one of its pods.
    func names(_ claim: String) -> Bool {
        templates.contains { template in
            let prefix = "\(template.name)-\(set.name)-"
            return claim.hasPrefix(prefix) && Int32(claim.dropFirst(prefix.count)) != nil
        }
    }

    func claimNames(for ordinal: Int) -> [String] { templates.map { name($0, ordinal) } }

    private func name(_ template: Document, _ ordinal: Int) -> String { "\(template.name)-\(set.name)-\(ordinal)" }

    /// The pod's claims as they are made, with the set's labels on them.
    func claims(for ordinal: Int, owners: [Document]) -> [Document] {
        templates.map { template in
            let own = template.map("metadata", "labels")
            let labels = own.merging(set.map("spec", "selector", "matchLabels")) { $1 }
            var metadata: Document = ["name": Document(name(template, ordinal))]
            metadata["namespace"] = set.at("metadata", "namespace")
            if !labels.isEmpty { metadata["labels"] = Document(sorted: labels) }
            metadata["annotations"] = template.at("metadata", "annotations")
            metadata["finalizers"] = template.at("metadata", "finalizers")
            if !owners.isEmpty { metadata["ownerReferences"] = Document(owners) }
            return [
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata,
                "spec": template["spec"] ?? .emptyObject,
            ]
        }
    }

    /// The pod's volumes: its claims under the templates' names, which win over volumes of the pod's template.
    func volumes(_ volumes: [Document], ordinal: Int) -> [Document] {
        let names = Set(templates.map(\.name))
        return templates.map { template in
            [
                "name": Document(template.name),
                "persistentVolumeClaim": ["claimName": Document(name(template, ordinal))],
            ]
        } + volumes.filter { !names.contains($0.text("name") ?? "") }
    }
}
