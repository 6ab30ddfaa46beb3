import Basics
import Document
import Kinds

/// Every pod runs as a service account, and gets its token, the cluster's certificate authority and its namespace
/// mounted where client libraries look for them.
struct ServiceAccountAdmission: AdmissionPlugin {
    private static let mountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    /// An hour and a few seconds, as upstream: kubelets renew at four fifths of it.
    private static let lifetime = 3_607

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods"), context.operation == .create else { return }
        // A node reports its static pods; those may not use what the API holds.
        if object.at("metadata", "annotations", "kubernetes.io/config.mirror") != nil {
            return try refuseMirror(object, context)
        }
        var name = object.text("spec", "serviceAccountName") ?? ""
        if name.isEmpty { name = object.text("spec", "serviceAccount") ?? "" }
        if name.isEmpty { name = "default" }
        object.set(Document(name), at: "spec", "serviceAccountName")
        object.set(Document(name), at: "spec", "serviceAccount")
        guard let account = try await resources.object("serviceaccounts", namespace: context.namespace, name: name)
        else {
            throw context.refuse(
                "error looking up service account \(context.namespace)/\(name): serviceaccount \"\(name)\" not found")
        }
        let wantsToken =
            object.flag("spec", "automountServiceAccountToken") ?? account.flag("automountServiceAccountToken") ?? true
        if wantsToken { mountToken(&object, resources) }
        if object.list("spec", "imagePullSecrets").isEmpty {
            let secrets = account.list("imagePullSecrets")
            if !secrets.isEmpty { object.set(Document(secrets), at: "spec", "imagePullSecrets") }
        }
    }

    private func refuseMirror(_ pod: Document, _ context: AdmissionContext) throws {
        if !(pod.text("spec", "serviceAccountName") ?? "").isEmpty {
            throw context.refuse("a mirror pod may not reference service accounts")
        }
        for volume in pod.list("spec", "volumes") {
            if volume["secret"] != nil { throw context.refuse("a mirror pod may not reference secrets") }
            for source in volume.list("projected", "sources") where source["serviceAccountToken"] != nil {
                throw context.refuse("a mirror pod may not use ServiceAccountToken volume projections")
            }
        }
    }

    private func mountToken(_ pod: inout Document, _ resources: Resources) {
        let prefix = "kube-api-access-"
        let existing = pod.list("spec", "volumes").first { volume in
            (volume.text("name") ?? "").hasPrefix(prefix)
                && volume.list("projected", "sources").contains { $0["serviceAccountToken"] != nil }
        }
        let name = existing?.text("name") ?? prefix + Identifier.suffix(from: resources.world.random)
        var isNeeded = false
        for field in ["initContainers", "containers"] {
            let containers = pod.list("spec", field)
            guard !containers.isEmpty else { continue }
            let changed = containers.map { container -> Document in
                var mounts = container.list("volumeMounts")
                guard !mounts.contains(where: { $0.text("mountPath") == Self.mountPath }) else { return container }
                isNeeded = true
                mounts.append(["name": Document(name), "readOnly": true, "mountPath": Document(Self.mountPath)])
                var container = container
                container["volumeMounts"] = Document(mounts)
                return container
            }
            pod.set(Document(changed), at: "spec", field)
        }
        if isNeeded, existing == nil {
            pod.set(Document(pod.list("spec", "volumes") + [Self.volume(name)]), at: "spec", "volumes")
        }
    }

    private static func volume(_ name: String) -> Document {
        [
            "name": Document(name),
            "projected": [
                "sources": [
                    ["serviceAccountToken": ["expirationSeconds": Document(lifetime), "path": "token"]],
                    [
                        "configMap": [
                            "name": "kube-root-ca.crt", "items": [["key": "ca.crt", "path": "ca.crt"]],
                        ]
                    ],
                    [
                        "downwardAPI": [
                            "items": [
                                [
                                    "path": "namespace",
                                    "fieldRef": ["apiVersion": "v1", "fieldPath": "metadata.namespace"],
                                ]
                            ]
                        ]
                    ],
                ], "defaultMode": 420,
            ],
        ]
    }
}
