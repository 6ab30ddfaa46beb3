import Basics
import Document
import Kinds
import Wire

/// A pod that the node itself was told to run, made from its manifest.
enum StaticPod {
    struct Problem: Error, Equatable, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }

    /// The pods of a manifest: one `Pod`, several in a stream, or a `PodList`. `source` is `file` or `http`.
    static func read(
        _ bytes: [UInt8], source: String, origin: String, nodeName: String, now: Timestamp
    ) throws -> [Document] {
        let documents: [Document]
        do { documents = try Document.yamlDocuments(bytes).filter { !$0.isNull } } catch {
            throw Problem("\(origin): \(error)")
        }
        guard !documents.isEmpty else { throw Problem("\(origin) is empty") }
        let pods = documents.flatMap {
            $0.text("kind") == "PodList" || $0.text("kind") == "List" ? $0.list("items") : [$0]
        }
        return try pods.map { try pod($0, source, origin, nodeName, now) }
    }

    private static func pod(
        _ manifest: Document, _ source: String, _ origin: String, _ nodeName: String, _ now: Timestamp
    ) throws -> Document {
        var pod = manifest
        if pod["kind"] == nil { pod["kind"] = "Pod" }
        if pod["apiVersion"] == nil { pod["apiVersion"] = "v1" }
        guard pod.text("kind") == "Pod", pod.text("apiVersion") == "v1",
            let resource = Kinds.registry.resource(group: "", version: "v1", kind: "Pod")
        else { throw Problem("\(origin): a \(pod.text("kind") ?? "") is no v1 Pod") }
        guard let name = pod.text("metadata", "name"), !name.isEmpty else {
            throw Problem("\(origin): the pod has no name")
        }
        // The same manifest on the same node is the same pod; any change makes another one.
        let seed = Array("\(nodeName)\n\(origin)\n".utf8) + manifest.json
        let hash = Digest.sha256(seed).prefix(16).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
        pod.set(Document("\(name)-\(nodeName.lowercased())"), at: "metadata", "name")
        if (pod.text("metadata", "namespace") ?? "").isEmpty { pod.set("default", at: "metadata", "namespace") }
        pod.set(Document(hash), at: "metadata", "uid")
        pod.set(Document(now.description), at: "metadata", "creationTimestamp")
        for (key, value) in [
            (PodIdentity.hashAnnotation, hash), ("kubernetes.io/config.seen", now.rfc3339(fractionDigits: 9)),
            (PodIdentity.sourceAnnotation, source),
        ] {
            pod.set(Document(value), at: "metadata", "annotations", key)
        }
        pod.set(Document(nodeName), at: "spec", "nodeName")
        // It runs whatever becomes of the node.
        var tolerations = pod.list("spec", "tolerations")
        if !tolerations.contains(where: { $0.text("operator") == "Exists" && ($0.text("key") ?? "").isEmpty }) {
            tolerations.append(["operator": "Exists", "effect": "NoExecute"])
        }
        pod.set(Document(tolerations), at: "spec", "tolerations")
        pod["status"] = nil
        Kinds.applyDefaults(to: &pod, resource: resource)
        var checked = pod
        checked.set(nil, at: "metadata", "uid")
        checked.set(nil, at: "metadata", "creationTimestamp")
        if let error = Kinds.validateCreate(checked, resource: resource).first { throw Problem("\(origin): \(error)") }
        if let forbidden = reference(in: pod) {
            throw Problem("\(origin): static pods may not reference \(forbidden)")
        }
        return pod
    }

    /// What a pod that the API server does not know cannot have.
    private static func reference(in pod: Document) -> String? {
        if !(pod.text("spec", "serviceAccountName") ?? "").isEmpty { return "serviceaccounts" }
        for volume in pod.list("spec", "volumes") {
            for (member, what) in [
                ("secret", "secrets"), ("configMap", "configmaps"), ("projected", "projected volumes"),
                ("persistentVolumeClaim", "persistentvolumeclaims"), ("ephemeral", "ephemeral volumes"),
            ] where volume[member] != nil { return what }
        }
        return nil
    }

    /// The image of the pod that the API server shows. It belongs to the node, and goes with it.
    static func mirror(of pod: Document, nodeUID: String?) -> Document {
        var mirror = pod
        let hash = pod.text("metadata", "uid") ?? ""
        mirror.set(nil, at: "metadata", "uid")
        mirror.set(nil, at: "metadata", "creationTimestamp")
        mirror.set(Document(hash), at: "metadata", "annotations", PodIdentity.mirrorAnnotation)
        if let nodeUID {
            mirror.set(
                [
                    [
                        "apiVersion": "v1", "kind": "Node", "name": pod.at("spec", "nodeName") ?? "",
                        "uid": Document(nodeUID), "controller": true,
                    ]
                ], at: "metadata", "ownerReferences")
        }
        return mirror
    }

    static func key(_ pod: Document) -> String {
        "\(pod.text("metadata", "namespace") ?? "default")/\(pod.text("metadata", "name") ?? "")"
    }
}
