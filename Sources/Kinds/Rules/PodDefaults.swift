import Document
import Schema

/// Defaults of pods that depend on other fields.
enum PodDefaults {
    /// For pods and for templates of pods.
    static func complete(spec: inout Document) {
        if let account = spec.text("serviceAccountName") ?? spec.text("serviceAccount") {
            // The old name of the field stays readable beside the new one.
            spec["serviceAccountName"] = Document(account)
            spec["serviceAccount"] = Document(account)
        }
        let hostNetwork = spec.flag("hostNetwork") == true
        for field in ["initContainers", "containers", "ephemeralContainers"] {
            guard let containers = spec[field], containers.isArray else { continue }
            spec[field] = Document(
                containers.elements.map { container in
                    var container = container
                    complete(container: &container, hostNetwork: hostNetwork && field != "ephemeralContainers")
                    return container
                })
        }
        if let volumes = spec["volumes"], volumes.isArray {
            spec["volumes"] = Document(
                volumes.elements.map { volume in
                    if let image = volume["image"], image["pullPolicy"] == nil, image.isObject {
                        var volume = volume
                        let floats = isFloating(image.text("reference") ?? "")
                        volume.set(floats ? "Always" : "IfNotPresent", at: "image", "pullPolicy")
                        return volume
                    }
                    guard volume.isObject, volume.members.allSatisfy({ $0.key == "name" }) else { return volume }
                    var volume = volume
                    volume["emptyDir"] = .emptyObject
                    return volume
                })
        }
    }

    private static func complete(container: inout Document, hostNetwork: Bool) {
        guard container.isObject else { return }
        if let lifecycle = container["lifecycle"], lifecycle["stopSignal"] != nil {
            // Stop signals are not among the features that are on.
            container.set(.none, at: "lifecycle", "stopSignal")
            if lifecycle.count == 1 { container["lifecycle"] = .none }
        }
        if container["imagePullPolicy"] == nil {
            container["imagePullPolicy"] = isFloating(container.text("image") ?? "") ? "Always" : "IfNotPresent"
        }
        if hostNetwork, let ports = container["ports"], ports.isArray {
            container["ports"] = Document(
                ports.elements.map { port in
                    var port = port
                    if (port.number("hostPort") ?? 0) == 0 { port["hostPort"] = port["containerPort"] }
                    return port
                })
        }
    }

    /// Whether the image names the tag `latest`, or neither tag nor digest.
    static func isFloating(_ image: String) -> Bool {
        let name = image.prefix { $0 != "@" }
        let last = name.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let colon = last.lastIndex(of: ":") else { return name.count == image.count }
        return last[last.index(after: colon)...] == "latest"
    }

    /// For pods only: templates keep what their author wrote.
    static func complete(pod: inout Document) {
        guard var spec = pod["spec"], spec.isObject else { return }
        complete(spec: &spec)
        if spec["enableServiceLinks"] == nil { spec["enableServiceLinks"] = true }
        for field in ["initContainers", "containers"] {
            guard let containers = spec[field], containers.isArray else { continue }
            spec[field] = Document(containers.elements.map(withRequests))
        }
        if let limits = spec.at("resources", "limits"), limits.count > 0 {
            var resources = spec["resources"] ?? .emptyObject
            for limit in limits.members
            where resources.at("requests", limit.key) == nil
                && (["cpu", "memory"].contains(limit.key) || limit.key.hasPrefix(ResourceValidation.hugePages))
            {
                resources.set(limit.value, at: "requests", limit.key)
            }
            raisePodRequests(&resources, spec)
            spec["resources"] = resources
        }
        pod["spec"] = spec
    }

    /// What is limited but not requested is requested to the limit.
    private static func withRequests(_ container: Document) -> Document {
        guard let limits = container.at("resources", "limits"), limits.count > 0 else { return container }
        var container = container
        var requests = container.at("resources", "requests") ?? .emptyObject
        for limit in limits.members where requests[limit.key] == nil { requests[limit.key] = limit.value }
        container.set(requests, at: "resources", "requests")
        return container
    }

    /// A pod's own request, where only its limit was given, is what its containers request together, if they do.
    private static func raisePodRequests(_ resources: inout Document, _ spec: Document) {
        for name in ["cpu", "memory"] where spec.at("resources", "requests", name) == nil {
            let amounts = spec.list("containers").compactMap { $0.at("resources", "requests", name)?.string }
            guard amounts.count == spec.list("containers").count, !amounts.isEmpty else { continue }
            let sum = amounts.compactMap { Quantity($0) }.reduce(Quantity.zero, +)
            resources.set(Document(sum.description), at: "requests", name)
        }
    }
}

/// The quality of service that a pod's requests and limits amount to.
enum QualityOfService {
    static func of(_ pod: Document) -> String {
        var requests: [String: Quantity] = [:]
        var limits: [String: Quantity] = [:]
        var guaranteed = true
        let own = pod.at("spec", "resources")
        let groups =
            own.map { [["resources": $0] as Document] } ?? pod.list("spec", "containers")
            + pod.list("spec", "initContainers")
        for container in groups {
            var limited: Set<String> = []
            for name in ["cpu", "memory"] {
                if let amount = amount(container, "requests", name) { requests[name, default: .zero] += amount }
                if let amount = amount(container, "limits", name) {
                    limits[name, default: .zero] += amount
                    limited.insert(name)
                }
            }
            if limited.count < 2 { guaranteed = false }
        }
        if requests.isEmpty, limits.isEmpty { return "BestEffort" }
        if guaranteed, requests.count == limits.count, requests.allSatisfy({ limits[$0.key] == $0.value }) {
            return "Guaranteed"
        }
        return "Burstable"
    }

    private static func amount(_ container: Document, _ side: String, _ name: String) -> Quantity? {
        guard let text = container.at("resources", side, name)?.string, let amount = Quantity(text), !amount.isZero
        else { return nil }
        return amount
    }
}
