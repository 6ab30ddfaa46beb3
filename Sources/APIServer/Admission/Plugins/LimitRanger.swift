import Document
import Kinds
import Schema

/// Fills in the requests and limits that a namespace's LimitRanges give by default, and refuses what lies outside them.
struct LimitRanger: AdmissionPlugin {
    private static let note = "kubernetes.io/limit-ranger"

    private func ranges(_ context: AdmissionContext, _ resources: Resources) async throws -> [Document] {
        try await resources.snapshots.all("limitranges", resources).byNamespace[context.namespace] ?? []
    }

    private static func isPod(_ context: AdmissionContext) -> Bool {
        guard context.resource.qualifiedName == "pods" else { return false }
        return context.operation == .create
            ? context.subresource.isEmpty : context.operation == .update && context.subresource == "resize"
    }

    // MARK: Defaults

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard Self.isPod(context) else { return }
        for range in try await ranges(context, resources) { Self.complete(&object, from: range) }
    }

    private static func complete(_ pod: inout Document, from range: Document) {
        var requests: [(String, Document)] = []
        var limits: [(String, Document)] = []
        for item in range.list("spec", "limits") where item.text("type") == "Container" {
            requests += (item["defaultRequest"]?.members ?? []).map { ($0.key, $0.value) }
            limits += (item["default"]?.members ?? []).map { ($0.key, $0.value) }
        }
        if requests.isEmpty, limits.isEmpty { return }
        var notes: [String] = []
        for (field, word) in [("containers", "container"), ("initContainers", "init container")] {
            let containers = pod.list("spec", field)
            if containers.isEmpty { continue }
            let completed = containers.map { container -> Document in
                var container = container
                for (part, defaults) in [("requests", requests), ("limits", limits)] {
                    let added = fill(&container, part, defaults)
                    if added.isEmpty { continue }
                    let what = part == "requests" ? "request" : "limit"
                    notes.append(
                        "\(added.sorted().joined(separator: ", ")) \(what) for \(word) \(container.text("name") ?? "")")
                }
                return container
            }
            pod.set(Document(completed), at: "spec", field)
        }
        if !notes.isEmpty {
            let text = "LimitRanger plugin set: " + notes.joined(separator: "; ")
            pod.set(Document(text), at: "metadata", "annotations", note)
        }
    }

    /// Gives a container what it lacks; the names of that.
    private static func fill(_ container: inout Document, _ part: String, _ defaults: [(String, Document)]) -> [String]
    {
        var added: [String] = []
        for (name, value) in defaults where container.at("resources", part, name) == nil {
            container.set(value, at: "resources", part, name)
            added.append(name)
        }
        return added
    }

    // MARK: Bounds

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        let isClaim = context.isOn("persistentvolumeclaims") && [.create, .update].contains(context.operation)
        guard isClaim || Self.isPod(context) else { return }
        for range in try await ranges(context, resources) {
            var faults: [String] = []
            for item in range.list("spec", "limits") {
                faults += isClaim ? Self.claim(object, item) : Self.pod(object, item)
            }
            if faults.isEmpty { continue }
            throw context.refuse(faults.count == 1 ? faults[0] : "[\(faults.joined(separator: ", "))]")
        }
    }

    private static func pod(_ pod: Document, _ item: Document) -> [String] {
        let spec = pod["spec"] ?? .emptyObject
        switch item.text("type") {
        case "Container":
            return (spec.list("containers") + spec.list("initContainers")).flatMap { container in
                LimitCheck(
                    item: item, requests: PodResources.amounts(container.at("resources", "requests")),
                    limits: PodResources.amounts(container.at("resources", "limits"))
                ).faults
            }
        case "Pod":
            return LimitCheck(
                item: item, requests: PodResources.containers(spec, "requests"),
                limits: PodResources.containers(spec, "limits")
            ).faults
        default: return []
        }
    }

    private static func claim(_ claim: Document, _ item: Document) -> [String] {
        guard item.text("type") == "PersistentVolumeClaim" else { return [] }
        let check = LimitCheck(
            item: item, requests: PodResources.amounts(claim.at("spec", "resources", "requests")), limits: [:])
        return check.minimum + check.maximumRequest
    }
}

/// One item of a LimitRange against what was asked for.
struct LimitCheck {
    let type: String
    let item: Document
    let requests: Amounts
    let limits: Amounts

    init(item: Document, requests: Amounts, limits: Amounts) {
        type = item.text("type") ?? ""
        self.item = item
        self.requests = requests
        self.limits = limits
    }

    var faults: [String] { minimum + maximum + ratio }

    private func bounds(_ field: String) -> [(name: String, bound: Quantity)] {
        PodResources.amounts(item[field]).sorted { $0.key < $1.key }.map { (name: $0.key, bound: $0.value) }
    }

    var minimum: [String] {
        bounds("min").compactMap { name, bound in
            let start = "minimum \(name) usage per \(type) is \(bound)"
            guard let request = requests[name] else { return start + ".  No request is specified" }
            if request < bound { return start + ", but request is \(request)" }
            if let limit = limits[name], limit < bound { return start + ", but limit is \(limit)" }
            return nil
        }
    }

    private var maximum: [String] {
        bounds("max").compactMap { name, bound in
            let start = "maximum \(name) usage per \(type) is \(bound)"
            guard let limit = limits[name] else { return start + ".  No limit is specified" }
            if limit > bound { return start + ", but limit is \(limit)" }
            if let request = requests[name], request > bound { return start + ", but request is \(request)" }
            return nil
        }
    }

    /// Claims have requests only.
    var maximumRequest: [String] {
        bounds("max").compactMap { name, bound in
            let start = "maximum \(name) usage per \(type) is \(bound)"
            guard let request = requests[name] else { return start + ".  No request is specified" }
            return request > bound ? start + ", but request is \(request)" : nil
        }
    }

    private var ratio: [String] {
        bounds("maxLimitRequestRatio").compactMap { name, bound in
            let start = "\(name) max limit to request ratio per \(type) is \(bound), but "
            guard let request = requests[name], !request.isZero else {
                return start + "no request is specified or request is 0"
            }
            guard let limit = limits[name], !limit.isZero else { return start + "no limit is specified or limit is 0" }
            let ratio = Double(limit.nano) / Double(request.nano)
            guard ratio * 1_000_000_000 > Double(bound.nano) else { return nil }
            return start + "provided ratio is \(Self.sixDigits(ratio))"
        }
    }

    /// As C's `%f`.
    static func sixDigits(_ value: Double) -> String {
        let scaled = Int128((value * 1_000_000).rounded(.toNearestOrEven))
        let digits = String(scaled % 1_000_000)
        return "\(scaled / 1_000_000)." + String(repeating: "0", count: 6 - digits.count) + digits
    }
}
