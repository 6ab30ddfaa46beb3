import Document
import Kinds

/// Which pods a count is about.
///
/// `identity` tells equal rules apart from others, so that each count is kept once however many pods want it.
struct PodRule: Sendable {
    private let namespaces: Set<String>
    private let namespaceSelector: LabelSelector?
    private let selectors: [LabelSelector]
    private let owner: String?
    let identity: String

    /// Nil selectors match nothing.
    init(
        namespaces: Set<String>, namespaceSelector: LabelSelector? = nil, selectors: [LabelSelector],
        owner: String? = nil
    ) {
        self.namespaces = namespaces
        self.namespaceSelector = namespaceSelector
        self.selectors = selectors
        self.owner = owner
        identity = [
            namespaces.sorted().joined(separator: ","), namespaceSelector.map { "\($0)" } ?? "-",
            selectors.map(\.description).joined(separator: "&"), owner ?? "",
        ].joined(separator: ";")
    }

    func matches(_ pod: PodInfo, _ namespaceLabels: [String: [String: String]]) -> Bool {
        if let owner, pod.controllerUID != owner { return false }
        guard selectors.allSatisfy({ $0.matches(pod.labels) }) else { return false }
        if namespaces.contains(pod.namespace) { return true }
        return namespaceSelector?.matches(namespaceLabels[pod.namespace] ?? [:]) ?? false
    }
}

/// Which pods a pod wants near it, or far. Nil rule: no pod at all.
struct AffinityTerm: Sendable {
    let topologyKey: String
    let rule: PodRule?
    let weight: Int

    init(_ term: Document, namespace: String, labels: [String: String], weight: Int = 1) {
        topologyKey = term.text("topologyKey") ?? ""
        self.weight = weight
        guard let written = term["labelSelector"], !written.isNull, let selector = LabelSelector(written) else {
            rule = nil
            return
        }
        let everywhere = term["namespaceSelector"].flatMap { $0.isNull ? nil : LabelSelector($0) }
        let named = term.list("namespaces").compactMap(\.string)
        var selectors = [selector]
        let keys = LabelKeys(term, labels: labels)
        if let keys = keys.selector { selectors.append(keys) }
        rule = PodRule(
            namespaces: Set(named.isEmpty && everywhere == nil ? [namespace] : named), namespaceSelector: everywhere,
            selectors: selectors)
    }

    static func list(_ list: Document?, namespace: String, labels: [String: String]) -> [AffinityTerm] {
        (list?.list("requiredDuringSchedulingIgnoredDuringExecution") ?? []).map {
            AffinityTerm($0, namespace: namespace, labels: labels)
        }
    }

    static func preferred(_ list: Document?, namespace: String, labels: [String: String]) -> [AffinityTerm] {
        (list?.list("preferredDuringSchedulingIgnoredDuringExecution") ?? []).map {
            AffinityTerm(
                $0["podAffinityTerm"] ?? .emptyObject, namespace: namespace, labels: labels,
                weight: $0.number("weight") ?? 1)
        }
    }
}

/// `matchLabelKeys` and `mismatchLabelKeys`: the pod's own values of these labels join the selector.
/// A server that has joined them already changes nothing by our joining them again.
struct LabelKeys {
    let selector: LabelSelector?

    init(_ document: Document, labels: [String: String]) {
        var expressions: [Document] = []
        for (list, action) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
            for key in document.list(list).compactMap(\.string) {
                guard let value = labels[key] else { continue }
                expressions.append([
                    "key": Document(key), "operator": Document(action), "values": [Document(value)],
                ])
            }
        }
        selector = expressions.isEmpty ? nil : LabelSelector(["matchExpressions": Document(expressions)])
    }
}

/// A bound on how unevenly matching pods may lie over the values of a node label.
struct SpreadConstraint: Sendable {
    var key: String
    var maxSkew: Int
    var isRequired: Bool
    var minDomains = 1
    var honorsTaints = false
    var honorsAffinity = true
    /// Nil matches nothing.
    var rule: PodRule?

    init(key: String, maxSkew: Int, isRequired: Bool, rule: PodRule?) {
        self.key = key
        self.maxSkew = maxSkew
        self.isRequired = isRequired
        self.rule = rule
    }

    /// An entry of a pod's `topologySpreadConstraints`, or of a profile's default ones.
    init(_ document: Document, namespace: String, labels: [String: String]) {
        key = document.text("topologyKey") ?? ""
        maxSkew = document.number("maxSkew") ?? 1
        isRequired = document.text("whenUnsatisfiable") != "ScheduleAnyway"
        minDomains = document.number("minDomains") ?? 1
        honorsTaints = document.text("nodeTaintsPolicy") == "Honor"
        honorsAffinity = document.text("nodeAffinityPolicy") != "Ignore"
        guard let written = document["labelSelector"], !written.isNull, let selector = LabelSelector(written) else {
            return
        }
        let keys = LabelKeys(document, labels: labels)
        rule = PodRule(namespaces: [namespace], selectors: [selector] + (keys.selector.map { [$0] } ?? []))
    }
}
