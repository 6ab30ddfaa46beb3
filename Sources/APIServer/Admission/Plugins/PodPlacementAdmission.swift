import Document
import Kinds
import Schema

/// Pods get the node selector of their namespace, and may not contradict it.
struct PodNodeSelector: AdmissionPlugin {
    /// Selectors by namespace, in the form `a=b,c=d`; `clusterDefaultNodeSelector` is for namespaces that say nothing.
    let selectors: [String: String]

    private static let annotation = "scheduler.alpha.kubernetes.io/node-selector"

    private func selector(_ context: AdmissionContext, _ resources: Resources) async throws -> [String: String] {
        let namespace = try await resources.snapshots.single("namespaces", name: context.namespace, resources)
        let text =
            namespace?.text("metadata", "annotations", Self.annotation) ?? selectors["clusterDefaultNodeSelector"] ?? ""
        return try Self.parse(text)
    }

    static func parse(_ text: String) throws -> [String: String] {
        var result: [String: String] = [:]
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2 else {
                throw APIStatus.failure(500, "", "invalid selector: [\(part)]")
            }
            func trimmed(_ text: Substring) -> String {
                String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
            result[trimmed(pair[0])] = trimmed(pair[1])
        }
        return result
    }

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods"), context.operation == .create else { return }
        for (key, value) in try await selector(context, resources) {
            if let own = object.text("spec", "nodeSelector", key), own != value {
                throw context.refuse("pod node label selector conflicts with its namespace node label selector")
            }
            object.set(Document(value), at: "spec", "nodeSelector", key)
        }
    }

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods"), context.operation == .create else { return }
        let own = object.map("spec", "nodeSelector")
        for (key, value) in try await selector(context, resources) where own[key] != value {
            throw context.refuse("pod node label selector conflicts with its namespace node label selector")
        }
        guard let allowed = selectors[context.namespace] else { return }
        let limits = try Self.parse(allowed)
        if own.contains(where: { key, value in limits[key].map { $0 != value } ?? false }) {
            throw context.refuse("pod node label selector labels conflict with its namespace whitelist")
        }
    }
}

/// Pods get the tolerations of their namespace, and may have no others than it allows.
struct PodTolerationRestriction: AdmissionPlugin {
    private static let prefix = "scheduler.alpha.kubernetes.io/"

    private func list(_ name: String, _ context: AdmissionContext, _ resources: Resources) async throws -> [Document] {
        let namespace = try await resources.snapshots.single("namespaces", name: context.namespace, resources)
        guard let text = namespace?.text("metadata", "annotations", Self.prefix + name), !text.isEmpty else {
            return []
        }
        do {
            return try Document(json: Array(text.utf8)).elements
        } catch {
            throw APIStatus.failure(500, "", "cannot read the annotation \(Self.prefix + name): \(error)")
        }
    }

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods"), context.operation == .create else { return }
        var extra = try await list("defaultTolerations", context, resources)
        if object.text("status", "qosClass") != "BestEffort",
            !PodResources.pod(object["spec"] ?? .null, "requests").isEmpty
        {
            extra.append(["key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"])
        }
        if extra.isEmpty { return }
        let merged = Tolerations.merged(object.list("spec", "tolerations"), extra)
        object.set(Document(merged), at: "spec", "tolerations")
    }

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods"), [.create, .update].contains(context.operation) else { return }
        let allowed = try await list("tolerationsWhitelist", context, resources)
        if allowed.isEmpty { return }
        for toleration in object.list("spec", "tolerations")
        where !allowed.contains(where: { Tolerations.covers($0, toleration) }) {
            throw APIStatus.failure(
                500, "InternalError",
                "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace "
                    + "whitelist")
        }
    }
}

/// Nodes with rare devices are tainted by the device's name; whoever asks for the device tolerates that.
struct ExtendedResourceToleration: AdmissionPlugin {
    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods"), [.create, .update].contains(context.operation) else { return }
        let containers = object.list("spec", "containers") + object.list("spec", "initContainers")
        let names = Set(containers.flatMap { ($0.at("resources", "requests")?.members ?? []).map(\.key) })
        var tolerations = object.list("spec", "tolerations")
        for name in names.sorted() where QuotaUsage.isExtended(name) {
            let wanted: Document = ["key": Document(name), "operator": "Exists", "effect": "NoSchedule"]
            if !tolerations.contains(where: { $0.means(wanted) }) { tolerations.append(wanted) }
        }
        if !tolerations.isEmpty { object.set(Document(tolerations), at: "spec", "tolerations") }
    }
}

/// Images are asked for again by every pod, so that nobody runs a private one just because it is there.
struct AlwaysPullImages: AdmissionPlugin {
    private static let fields = ["initContainers", "containers", "ephemeralContainers"]

    private static func applies(_ context: AdmissionContext) -> Bool {
        context.resource.qualifiedName == "pods" && ["", "ephemeralcontainers"].contains(context.subresource)
            && [.create, .update].contains(context.operation)
    }

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard Self.applies(context) else { return }
        for field in Self.fields {
            let containers = object.list("spec", field)
            if containers.isEmpty { continue }
            let changed = containers.map { container -> Document in
                var container = container
                container["imagePullPolicy"] = "Always"
                return container
            }
            object.set(Document(changed), at: "spec", field)
        }
    }

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard Self.applies(context) else { return }
        for field in Self.fields {
            for (index, container) in object.list("spec", field).enumerated()
            where container.text("imagePullPolicy") != "Always" {
                let error = FieldError.notSupported(
                    "spec.\(field)[\(index)].imagePullPolicy", container["imagePullPolicy"], ["Always"])
                throw context.refuse(error.text)
            }
        }
    }
}

/// A pod that is bound learns where its node stands: the node's topology labels become its own.
struct PodTopologyLabels: AdmissionPlugin {
    static let keys = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"]

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.resource.qualifiedName == "pods", context.subresource == "binding",
            context.operation == .create, ["", "Node"].contains(object.text("target", "kind") ?? "")
        else { return }
        let name = object.text("target", "name") ?? ""
        guard let node = try await resources.snapshots.single("nodes", name: name, resources) else { return }
        for key in Self.keys {
            if let value = node.at("metadata", "labels", key) { object.set(value, at: "metadata", "labels", key) }
        }
    }
}

/// Pods may keep others away from their node, but not from wider parts of the cluster.
struct AntiAffinityTopology: AdmissionPlugin {
    private static let allowed = "kubernetes.io/hostname"

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods"), [.create, .update].contains(context.operation) else { return }
        let terms = object.list(
            "spec", "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
        for term in terms where term.text("topologyKey") != Self.allowed {
            throw context.refuse(
                "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey \(term.text("topologyKey") ?? "") but "
                    + "only key \(Self.allowed) is allowed")
        }
    }
}

/// Nothing is written in a namespace that does not exist, nor deleted from it.
struct NamespaceExists: AdmissionPlugin {
    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.resource.namespaced, !context.namespace.isEmpty, context.operation != .connect else { return }
        _ = try await RequestMatch.namespace(context.namespace, resources)
    }
}
