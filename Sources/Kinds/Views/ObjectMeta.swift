import Basics
import Document

/// A read-only view of an object's metadata.
public struct ObjectMeta: Sendable {
    public let document: Document

    /// `document` is the whole object.
    public init(_ document: Document) { self.document = document["metadata"] ?? .emptyObject }

    public var name: String { document.text("name") ?? "" }
    public var generateName: String { document.text("generateName") ?? "" }
    public var namespace: String { document.text("namespace") ?? "" }
    public var uid: String { document.text("uid") ?? "" }
    public var resourceVersion: String { document.text("resourceVersion") ?? "" }
    public var generation: Int { document.number("generation") ?? 0 }
    public var labels: [String: String] { document.map("labels") }
    public var annotations: [String: String] { document.map("annotations") }
    public var finalizers: [String] { document.list("finalizers").compactMap(\.string) }
    public var ownerReferences: [OwnerReference] { document.list("ownerReferences").map { OwnerReference($0) } }
    /// The owner that manages the object.
    public var controllerRef: OwnerReference? { ownerReferences.first { $0.controller } }
    public var creationTimestamp: Timestamp? { document.time("creationTimestamp") }
    public var deletionTimestamp: Timestamp? { document.time("deletionTimestamp") }
    public var deletionGracePeriodSeconds: Int? { document.number("deletionGracePeriodSeconds") }
    public var isDeleting: Bool { document.text("deletionTimestamp") != nil }
    /// `namespace/name`, or the name alone for objects of the cluster.
    public var key: String { namespace.isEmpty ? name : namespace + "/" + name }
}

public struct OwnerReference: Sendable, Equatable {
    public let document: Document

    public init(_ document: Document) { self.document = document }

    public var apiVersion: String { document.text("apiVersion") ?? "" }
    public var kind: String { document.text("kind") ?? "" }
    public var name: String { document.text("name") ?? "" }
    public var uid: String { document.text("uid") ?? "" }
    public var controller: Bool { document.flag("controller") ?? false }
    public var blockOwnerDeletion: Bool { document.flag("blockOwnerDeletion") ?? false }
}

/// A read-only view of a whole object.
public protocol ObjectView: Sendable {
    var document: Document { get }
    init(_ document: Document)
}

extension ObjectView {
    public var metadata: ObjectMeta { ObjectMeta(document) }
    public var name: String { metadata.name }
    public var namespace: String { metadata.namespace }
    public var uid: String { metadata.uid }
    public var key: String { metadata.key }

    /// The condition of this type in the status.
    public func condition(_ type: String) -> Document? {
        document.list("status", "conditions").first { $0.text("type") == type }
    }

    public func isTrue(_ condition: String) -> Bool { self.condition(condition)?.text("status") == "True" }
}

extension Document {
    /// The time at a path of member names.
    public func time(_ path: String...) -> Timestamp? {
        at(path: path)?.string.flatMap { Timestamp(rfc3339: $0) }
    }

    /// The quantities at a path, such as a container's requests; what is none is left out.
    public func quantities(_ path: String...) -> [String: Quantity] {
        var result: [String: Quantity] = [:]
        for member in at(path: path)?.members ?? [] {
            result[member.key] = member.value.string.flatMap { Quantity($0) } ?? member.value.int.map { Quantity($0) }
        }
        return result
    }
}
