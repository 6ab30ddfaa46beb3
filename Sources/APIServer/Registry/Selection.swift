import Document
import Kinds
import Schema

/// Which objects a list, watch or deletecollection is about.
struct Selection: Sendable {
    var labels = LabelSelector()
    var fields = FieldSelector()

    init() {}

    init(_ query: Query, resource: ResourceInfo) throws(APIStatus) {
        do { labels = try LabelSelector(parsing: query["labelSelector"] ?? "") } catch {
            throw .badRequest("\(error)")
        }
        do { fields = try FieldSelector(parsing: query["fieldSelector"] ?? "") } catch {
            throw .badRequest("\(error)")
        }
        // Events call the object they are about by another name in each of their two groups.
        let skeleton: Document = resource.group.isEmpty ? ["involvedObject": [:]] : [:]
        let known = Kinds.selectableFields(of: skeleton, resource: resource)
        for term in fields.terms where known[term.field] == nil {
            // Kinds with fields of their own refuse in other words than those with the common two.
            let common = resource.namespaced ? 2 : 1
            // The newest groups name the kind too.
            let kind = resource.group == "resource.k8s.io" ? " for \(resource.apiVersion), Kind=\(resource.kind)" : ""
            throw .badRequest(
                known.count > common
                    ? kind.isEmpty
                        ? Kinds.rules(for: resource).unknownField(term.field)
                        : "field label not supported\(kind): \(term.field)"
                    : "\"\(term.field)\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
    }

    /// Narrows it down to one object.
    mutating func pin(name: String) {
        // Names hold no character that a field selector would have to protect.
        if let pinned = try? FieldSelector(parsing: "metadata.name=\(name)") { fields = pinned }
    }

    var isEmpty: Bool { labels.isEmpty && fields.isEmpty }

    /// The one name that can match, where the selector says so.
    var name: String? { fields.terms.first { $0.field == "metadata.name" && !$0.isNegated }?.value }

    func matches(_ object: Document, resource: ResourceInfo) -> Bool {
        matches(labelsOf: object) { Kinds.selectableFields(of: object, resource: resource) }
    }

    /// For those who may have the object's fields already.
    func matches(labelsOf object: Document, fields values: () -> [String: String]) -> Bool {
        (labels.isEmpty || labels.matches(object.map("metadata", "labels")))
            && (fields.isEmpty || fields.matches(values()))
    }
}
