import Document

/// The entries of an object as its scale subresource sees them, and back.
///
/// A scale has one field that can be owned, the count of replicas, which stands elsewhere in the object itself. Who
/// owns it in the object owns it in the scale; who takes it through the scale gets an entry of its own in the object.
public struct ScaleFields: Sendable {
    public static let apiVersion = "autoscaling/v1"
    private static let replicas = FieldSet(path: ["f:spec", "f:replicas"])

    let parent: ManagedFields
    let apiVersion: String
    /// Where the object has its replicas, such as `["f:spec", "f:replicas"]`.
    let path: [String]

    public init(_ parent: ManagedFields, apiVersion: String, path: [String]) {
        self.parent = parent
        self.apiVersion = apiVersion
        self.path = path
    }

    private func inScale(_ identity: ManagedEntry.Identity) -> ManagedEntry.Identity {
        ManagedEntry.Identity(
            manager: identity.manager, isApply: identity.isApply, apiVersion: Self.apiVersion,
            subresource: identity.subresource)
    }

    private func owns(_ entry: ManagedEntry) -> Bool {
        entry.apiVersion == apiVersion && entry.fields.contains(path)
    }

    /// The entries of the scale.
    public var scale: ManagedFields {
        var result = ManagedFields()
        for entry in parent.entries where owns(entry) {
            let identity = inScale(entry.identity)
            result[identity] = ManagedEntry(
                identity, apiVersion: Self.apiVersion, time: entry.time, fields: Self.replicas)
        }
        return result
    }

    /// The object's entries after the scale's have become `scale`.
    public func merged(_ scale: ManagedFields) -> ManagedFields {
        var rest = scale
        var result = ManagedFields()
        for var entry in parent.entries {
            if owns(entry) {
                let identity = inScale(entry.identity)
                if rest[identity] == nil {
                    entry.fields = entry.fields.subtracting(FieldSet(path: path))
                    if entry.isEmpty { continue }
                }
                rest[identity] = nil
            }
            result[entry.identity] = entry
        }
        for entry in rest.entries where entry.fields.contains(["f:spec", "f:replicas"]) {
            let identity = ManagedEntry.Identity(
                manager: entry.identity.manager, isApply: entry.identity.isApply, apiVersion: apiVersion,
                subresource: entry.identity.subresource)
            result[identity] = ManagedEntry(
                identity, apiVersion: apiVersion, time: nil, fields: FieldSet(path: path))
        }
        return result
    }
}
