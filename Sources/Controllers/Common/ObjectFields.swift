import Basics
import Client
import Document
import Kinds

/// The metadata that controllers keep asking for.
extension Document {
    var name: String { text("metadata", "name") ?? "" }
    var namespace: String? { text("metadata", "namespace") }
    var uid: String { text("metadata", "uid") ?? "" }
    var labels: [String: String] { map("metadata", "labels") }
    var annotations: [String: String] { map("metadata", "annotations") }
    var generation: Int { number("metadata", "generation") ?? 0 }
    var isTerminating: Bool { text("metadata", "deletionTimestamp") != nil }
    var finalizers: [String] { list("metadata", "finalizers").compactMap(\.string) }
    var ownerReferences: [Document] { list("metadata", "ownerReferences") }
    var controllerReference: Document? { ownerReferences.first { $0.flag("controller") == true } }
    var controllerUID: String? { controllerReference?.text("uid") }
    var created: Timestamp { time("metadata", "creationTimestamp") ?? Timestamp(seconds: 0) }

    /// The reference by which this object's controller is known.
    func controllerReference(kind: String, apiVersion: String) -> Document {
        [
            "apiVersion": Document(apiVersion), "kind": Document(kind), "name": Document(name),
            "uid": Document(uid), "controller": true, "blockOwnerDeletion": true,
        ]
    }

    /// The same value up to the order of members, which has no meaning.
    func isSame(as other: Document) -> Bool {
        if kind == .object, other.kind == .object {
            guard count == other.count else { return false }
            return members.allSatisfy { member in other[member.key].map { member.value.isSame(as: $0) } ?? false }
        }
        if kind == .array, other.kind == .array {
            return count == other.count && zip(elements, other.elements).allSatisfy { $0.isSame(as: $1) }
        }
        return self == other
    }

    /// Members sorted at every level, for hashing.
    var canonical: Document {
        switch kind {
        case .object:
            Document(members: members.sorted { $0.key < $1.key }.map { ($0.key, $0.value.canonical) })
        case .array: Document(elements.map(\.canonical))
        default: self
        }
    }
}

/// Conditions, the list of `type`, `status`, `reason`, `message` in a status.
extension Document {
    func condition(_ type: String) -> Document? { list("status", "conditions").first { $0.text("type") == type } }

    /// This list of conditions with `condition` in it, its transition time kept where the status stays.
    func settingCondition(_ condition: Document, at now: Timestamp) -> Document {
        var list = elements
        let index = list.firstIndex { $0.text("type") == condition.text("type") }
        var condition = condition
        if let index, list[index].text("status") == condition.text("status"),
            let since = list[index]["lastTransitionTime"]
        {
            condition["lastTransitionTime"] = since
        } else {
            condition["lastTransitionTime"] = Document(now.rfc3339())
        }
        if let index { list[index] = condition } else { list.append(condition) }
        return Document(list)
    }
}

extension Document {
    /// The `spec.selector` of a workload; nil where it cannot be read, which selects nothing.
    var selector: LabelSelector? { at("spec", "selector").flatMap { LabelSelector($0) } }
}

/// What controllers ask about pods.
extension Document {
    var phase: String { text("status", "phase") ?? "Pending" }
    var nodeName: String { text("spec", "nodeName") ?? "" }
    var isFinished: Bool { phase == "Succeeded" || phase == "Failed" }
    /// Counts as one of its owner's replicas.
    var isActivePod: Bool { !isFinished && !isTerminating }
    var isReadyPod: Bool { condition("Ready")?.text("status") == "True" }
    var readySince: Timestamp? { isReadyPod ? condition("Ready")?.time("lastTransitionTime") : nil }

    /// How long until the pod has been ready for `seconds`; zero when it has, nil when it is not ready.
    func timeToAvailable(minReady seconds: Int, now: Timestamp) -> Duration? {
        guard isReadyPod else { return nil }
        if seconds == 0 { return .zero }
        guard let since = readySince else { return nil }
        return max(.zero, since + .seconds(seconds) - now)
    }
}
