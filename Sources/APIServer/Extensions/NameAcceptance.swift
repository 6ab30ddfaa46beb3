import Basics
import Document
import Kinds

/// Which of the names that a definition asks for it gets, and the conditions that tell so. Pure.
enum NameAcceptance {
    /// The status that `definition` should have beside the other definitions.
    static func status(of definition: Document, among all: [Document], now: Timestamp) -> Document {
        var conditions = Conditions(definition.list("status", "conditions"), now: now)
        var status = definition["status"] ?? .emptyObject
        let (names, conflict) = accepted(definition, among: all)
        status["acceptedNames"] = names
        if let conflict {
            conditions.set("NamesAccepted", "False", conflict.reason, conflict.message)
        } else {
            conditions.set("NamesAccepted", "True", "NoConflicts", "no conflicts found")
        }
        // What was established once stays so, whatever names are asked for later.
        if conditions.status("Established") != "True" {
            if conflict == nil {
                conditions.set(
                    "Established", "True", "InitialNamesAccepted", "the initial names have been accepted")
            } else {
                conditions.set("Established", "False", "NotAccepted", "not all names are accepted")
            }
        }
        approval(definition, &conditions)
        structure(definition, &conditions)
        status["conditions"] = Document(conditions.list)
        return status
    }

    private static func approval(_ definition: Document, _ conditions: inout Conditions) {
        let type = "KubernetesAPIApprovalPolicyConformant"
        guard DefinitionApproval.isProtected(definition.text("spec", "group") ?? "") else { return }
        let (state, reason) = DefinitionApproval.state(definition)
        switch state {
        case .approved: conditions.set(type, "True", "ApprovedAnnotation", reason)
        case .bypassed: conditions.set(type, "False", "UnapprovedAnnotation", reason)
        case .invalid: conditions.set(type, "False", "InvalidAnnotation", reason)
        case .missing: conditions.set(type, "False", "MissingAnnotation", reason)
        }
    }

    private static func structure(_ definition: Document, _ conditions: inout Conditions) {
        var faults: [String] = []
        for (index, version) in definition.list("spec", "versions").enumerated() {
            guard let schema = version.at("schema", "openAPIV3Schema") else { continue }
            let path = "spec.versions[\(index)].schema.openAPIV3Schema"
            faults += StructuralRules.errors(schema, path).map(\.text)
        }
        if faults.isEmpty {
            conditions.remove("NonStructuralSchema")
        } else {
            let text = faults.count == 1 ? faults[0] : "[" + faults.joined(separator: ", ") + "]"
            conditions.set("NonStructuralSchema", "True", "Violations", text)
        }
    }

    // MARK: Names

    private struct Taken {
        var resources: Set<String> = []
        var kinds: Set<String> = []
    }

    private static func taken(_ definition: Document, among all: [Document]) -> Taken {
        var taken = Taken()
        let name = definition.text("metadata", "name")
        for other in all
        where other.text("spec", "group") == definition.text("spec", "group") && other.text("metadata", "name") != name
        {
            let names = other.at("status", "acceptedNames") ?? .emptyObject
            for field in ["plural", "singular"] { if let text = names.text(field) { taken.resources.insert(text) } }
            taken.resources.formUnion(names.list("shortNames").compactMap(\.string))
            for field in ["kind", "listKind"] { if let text = names.text(field) { taken.kinds.insert(text) } }
        }
        taken.resources.remove("")
        taken.kinds.remove("")
        return taken
    }

    private static func accepted(
        _ definition: Document, among all: [Document]
    ) -> (names: Document, conflict: (reason: String, message: String)?) {
        let taken = taken(definition, among: all)
        let wanted = definition.at("spec", "names") ?? .emptyObject
        var names = definition.at("status", "acceptedNames") ?? .emptyObject
        var conflict: (reason: String, message: String)?
        func claim(_ field: String, _ set: Set<String>, _ reason: String) {
            let name = wanted.text(field) ?? ""
            if name != names.text(field) ?? "", set.contains(name) {
                conflict = (reason, "\(Document(name).jsonText) is already in use")
            } else {
                names[field] = Document(name)
            }
        }
        claim("plural", taken.resources, "PluralConflict")
        claim("singular", taken.resources, "SingularConflict")
        let short = wanted.list("shortNames").compactMap(\.string)
        let held = Set(names.list("shortNames").compactMap(\.string))
        let lost = short.filter { !held.contains($0) && taken.resources.contains($0) }
        if lost.isEmpty {
            names["shortNames"] = Document(short)
        } else {
            let texts = lost.map { "\(Document($0).jsonText) is already in use" }
            conflict = (
                "ShortNamesConflict", texts.count == 1 ? texts[0] : "[" + texts.joined(separator: ", ") + "]"
            )
        }
        claim("kind", taken.kinds, "KindConflict")
        claim("listKind", taken.kinds, "ListKindConflict")
        names["categories"] = wanted["categories"]
        return (names, conflict)
    }
}

/// Conditions of a status, each type once; a time of transition changes only with the status.
struct Conditions {
    private(set) var list: [Document]
    private let now: Timestamp

    init(_ list: [Document], now: Timestamp) {
        self.list = list
        self.now = now
    }

    func status(_ type: String) -> String? { list.first { $0.text("type") == type }?.text("status") }

    mutating func set(_ type: String, _ status: String, _ reason: String, _ message: String) {
        var condition: Document = [
            "type": Document(type), "status": Document(status), "lastTransitionTime": Document(now.description),
            "reason": Document(reason), "message": Document(message),
        ]
        guard let index = list.firstIndex(where: { $0.text("type") == type }) else { return list.append(condition) }
        if list[index].text("status") == status, let time = list[index]["lastTransitionTime"] {
            condition["lastTransitionTime"] = time
        }
        list[index] = condition
    }

    mutating func remove(_ type: String) { list.removeAll { $0.text("type") == type } }
}
