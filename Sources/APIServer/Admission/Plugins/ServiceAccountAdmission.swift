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
        guard
            let account = try await resources.snapshots.single(
                "serviceaccounts", namespace: context.namespace, name: name, resources)
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
        try limitSecrets(object, account, context)
    }

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.resource.qualifiedName == "pods", context.subresource == "ephemeralcontainers",
            context.operation == .update,
            let account = try await resources.snapshots.single(
                "serviceaccounts", namespace: context.namespace, name: object.text("spec", "serviceAccountName") ?? "",
                resources)
        else { return }
        try limitSecrets(object, account, context)
    }

    /// An account may say that its pods use no other secrets than those that it lists.
    private func limitSecrets(_ pod: Document, _ account: Document, _ context: AdmissionContext) throws {
        let wish = account.text("metadata", "annotations", "kubernetes.io/enforce-mountable-secrets") ?? ""
        guard ["1", "t", "T", "TRUE", "true", "True"].contains(wish) else { return }
        let name = account.text("metadata", "name") ?? ""
        let allowed = Set(account.list("secrets").compactMap { $0.text("name") })
        let why = "is not allowed because service account \(name) does not reference that secret"
        for volume in pod.list("spec", "volumes") {
            if let secret = volume.text("secret", "secretName"), !allowed.contains(secret) {
                throw context.refuse("volume with secret.secretName=\"\(secret)\" \(why)")
            }
        }
        let fields = [
            ("initContainers", "init container"), ("containers", "container"),
            ("ephemeralContainers", "ephemeral container"),
        ]
        for (field, word) in fields {
            for container in pod.list("spec", field) {
                let subject = "\(word) \(container.text("name") ?? "") with "
                for variable in container.list("env") {
                    if let secret = variable.text("valueFrom", "secretKeyRef", "name"), !allowed.contains(secret) {
                        throw context.refuse(
                            "\(subject)envVar \(variable.text("name") ?? "") referencing "
                                + "secret.secretName=\"\(secret)\" \(why)")
                    }
                }
                for source in container.list("envFrom") {
                    if let secret = source.text("secretRef", "name"), !allowed.contains(secret) {
                        throw context.refuse("\(subject)envFrom referencing secret.secretName=\"\(secret)\" \(why)")
                    }
                }
            }
        }
        let pulled = Set(account.list("imagePullSecrets").compactMap { $0.text("name") })
        for (index, secret) in pod.list("spec", "imagePullSecrets").enumerated() {
            let secret = secret.text("name") ?? ""
            if !pulled.contains(secret) {
                throw context.refuse(
                    "imagePullSecrets[\(index)].name=\"\(secret)\" is not allowed because service account \(name) does "
                        + "not reference that imagePullSecret")
            }
        }
    }

    private func refuseMirror(_ pod: Document, _ context: AdmissionContext) throws {
        if !(pod.text("spec", "serviceAccountName") ?? "").isEmpty {
            throw context.refuse("a mirror pod may not reference service accounts")
        }
        if PodDependence.usesSecrets(pod["spec"] ?? .emptyObject) {
            throw context.refuse("a mirror pod may not reference secrets")
        }
        for volume in pod.list("spec", "volumes") {
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
