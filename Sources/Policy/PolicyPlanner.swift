import Basics
import Kinds

/// Works out what the policies mean for the pods of one node. Pure: objects in, changes of the rule set out.
///
/// Pods that the same policies select share one profile in a direction. Objects only mark what they concern; the
/// work is done once, in `flush`, and only for profiles that something has touched.
public struct PolicyPlanner: Sendable {
    /// The pods that a selector picks, and the policies whose rules use it.
    private struct Group {
        var members: Set<String> = []
        var users: Set<String> = []
    }

    struct ProfileKey: Hashable {
        var direction: PolicyDirection
        var policies: [String]
        /// The pod's own port names; they matter to rules about who comes in.
        var ports: [PolicyPod.PortName: UInt16]
    }

    private struct Profile {
        var number: Int
        var content: PolicyContent
        var pods: Set<String> = []

        func id(_ direction: PolicyDirection) -> ProfileID { ProfileID(direction: direction, number: number) }
    }

    private let node: String
    private var pods: [String: PolicyPod] = [:]
    private var podsOfNamespace: [String: Set<String>] = [:]
    private var namespaces: [String: [String: String]] = [:]
    private var policies: [String: PolicyText] = [:]
    private var policiesOfNamespace: [String: Set<String>] = [:]
    private var groups: [PeerSelector: Group] = [:]
    /// Addresses that this node has given to pods, which is known before the API tells.
    private var attached: [String: IPAddress] = [:]

    private var profiles: [ProfileKey: Profile] = [:]
    private var profileOfPod: [PolicyDirection: [String: ProfileKey]] = [:]
    private var isolated: [PolicyDirection: [IPAddress: Int]] = [:]
    private var nextNumber = 1
    /// The profiles that were told of.
    private var installed: Set<ProfileID> = []
    private var dirtyPods: Set<String> = []
    private var dirtyPolicies: Set<String> = []

    public init(node: String) { self.node = node }

    public var policyCount: Int { policies.count }
    public func knows(_ uid: String) -> Bool { pods[uid] != nil }
    public var isSettled: Bool { dirtyPods.isEmpty && dirtyPolicies.isEmpty }

    private func isLocal(_ uid: String) -> Bool { attached[uid] != nil || pods[uid]?.node == node }

    private func addresses(of uid: String) -> [IPAddress] {
        let known = pods[uid]?.addresses ?? []
        guard let address = attached[uid], !known.contains(address) else { return known }
        return [address]
    }

    // MARK: Objects

    public mutating func set(policy key: String, _ text: PolicyText?) {
        let old = policies[key]
        if old == text { return }
        policies[key] = text
        if let old {
            policiesOfNamespace[old.namespace]?.remove(key)
            for selector in old.selectors { release(selector, by: key) }
        }
        if let text {
            policiesOfNamespace[text.namespace, default: []].insert(key)
            for selector in text.selectors { use(selector, by: key) }
        }
        dirtyPolicies.insert(key)
        // The pods that it selected, and those that it selects now.
        for namespace in Set([old, text].compactMap { $0?.namespace }) {
            dirtyPods.formUnion((podsOfNamespace[namespace] ?? []).filter { isLocal($0) })
        }
    }

    public mutating func set(namespace name: String, labels: [String: String]?) {
        if namespaces[name] == labels { return }
        namespaces[name] = labels
        for uid in podsOfNamespace[name] ?? [] { regroup(uid, onlyByNamespace: true) }
    }

    public mutating func set(pod uid: String, _ pod: PolicyPod?) {
        let old = pods[uid]
        if old == pod { return }
        pods[uid] = pod
        if let old { podsOfNamespace[old.namespace]?.remove(uid) }
        if let pod { podsOfNamespace[pod.namespace, default: []].insert(uid) }
        if old?.addresses != pod?.addresses || old?.ports != pod?.ports { touchGroups(of: uid) }
        if old?.labels != pod?.labels || old?.namespace != pod?.namespace { regroup(uid, onlyByNamespace: false) }
        if old?.node == node || pod?.node == node || attached[uid] != nil { dirtyPods.insert(uid) }
    }

    /// This node has given the pod an address, or taken it back.
    public mutating func set(attached uid: String, _ address: IPAddress?) {
        if attached[uid] == address { return }
        attached[uid] = address
        dirtyPods.insert(uid)
        touchGroups(of: uid)
    }

    /// There is no policy any more, so pods and namespaces are followed no longer.
    public mutating func forgetObjects() {
        var fresh = PolicyPlanner(node: node)
        fresh.attached = attached
        fresh.nextNumber = nextNumber
        for (key, text) in policies { fresh.set(policy: key, text) }
        self = fresh
    }

    // MARK: Groups

    private mutating func use(_ selector: PeerSelector, by policy: String) {
        if groups[selector] == nil {
            let candidates = selector.namespace.map { podsOfNamespace[$0] ?? [] } ?? Set(pods.keys)
            groups[selector] = Group(members: candidates.filter { isMember($0, of: selector) })
        }
        groups[selector]?.users.insert(policy)
    }

    private mutating func release(_ selector: PeerSelector, by policy: String) {
        groups[selector]?.users.remove(policy)
        if groups[selector]?.users.isEmpty == true { groups[selector] = nil }
    }

    private func isMember(_ uid: String, of selector: PeerSelector) -> Bool {
        pods[uid].map { selector.matches($0, namespaceLabels: namespaces[$0.namespace]) } ?? false
    }

    private mutating func regroup(_ uid: String, onlyByNamespace: Bool) {
        for selector in groups.keys where !onlyByNamespace || selector.namespaces != nil {
            let was = groups[selector]?.members.contains(uid) ?? false
            let isNow = isMember(uid, of: selector)
            if was == isNow { continue }
            if isNow { groups[selector]?.members.insert(uid) } else { groups[selector]?.members.remove(uid) }
            dirtyPolicies.formUnion(groups[selector]?.users ?? [])
        }
    }

    private mutating func touchGroups(of uid: String) {
        for group in groups.values where group.members.contains(uid) { dirtyPolicies.formUnion(group.users) }
    }

    // MARK: Deciding

    /// What has to change in the kernel since the last call.
    public mutating func flush() -> PolicyChange {
        var change = PolicyChange()
        var touched: Set<ProfileKey> = []
        for uid in dirtyPods.sorted() {
            for direction in PolicyDirection.allCases { place(uid, direction, &touched) }
        }
        for (key, _) in profiles where key.policies.contains(where: dirtyPolicies.contains) { touched.insert(key) }
        for key in touched.sorted(by: { (profiles[$0]?.number ?? 0) < (profiles[$1]?.number ?? 0) }) {
            guard let profile = profiles[key] else { continue }
            if profile.pods.isEmpty {
                profiles[key] = nil
                change.removed[profile.id(key.direction)] = profile.content
                continue
            }
            let content = self.content(of: key)
            let id = profile.id(key.direction)
            if !installed.contains(id) {
                change.added[id] = content
            } else if content != profile.content {
                change.changed[id] = PolicyChange.Contents(old: profile.content, new: content)
            }
            profiles[key]?.content = content
        }
        installed.formUnion(change.added.keys)
        installed.subtract(change.removed.keys)
        for direction in PolicyDirection.allCases { direct(direction, &change) }
        dirtyPods = []
        dirtyPolicies = []
        return change
    }

    /// Everything, as a change from nothing.
    public mutating func whole() -> PolicyChange {
        _ = flush()
        var change = PolicyChange()
        for (key, profile) in profiles { change.added[profile.id(key.direction)] = profile.content }
        for direction in PolicyDirection.allCases {
            for (address, number) in isolated[direction] ?? [:] {
                change.directed.append(.init(direction: direction, address: address, profile: number))
            }
        }
        change.directed.sort()
        return change
    }

    /// Moves the pod to the profile that its policies make.
    private mutating func place(_ uid: String, _ direction: PolicyDirection, _ touched: inout Set<ProfileKey>) {
        let old = profileOfPod[direction]?[uid]
        let new = profileKey(of: uid, direction)
        if old == new { return }
        if let old {
            profiles[old]?.pods.remove(uid)
            touched.insert(old)
        }
        profileOfPod[direction, default: [:]][uid] = new
        guard let new else { return }
        if profiles[new] == nil {
            profiles[new] = Profile(number: nextNumber, content: PolicyContent())
            nextNumber += 1
        }
        profiles[new]?.pods.insert(uid)
        touched.insert(new)
    }

    private func profileKey(of uid: String, _ direction: PolicyDirection) -> ProfileKey? {
        guard let pod = pods[uid], isLocal(uid) else { return nil }
        let selecting = (policiesOfNamespace[pod.namespace] ?? []).filter { key in
            guard let policy = policies[key], policy.rules(direction) != nil else { return false }
            return policy.pods.matches(pod.labels)
        }
        if selecting.isEmpty { return nil }
        return ProfileKey(
            direction: direction, policies: selecting.sorted(), ports: direction == .ingress ? pod.ports : [:])
    }

    private func content(of key: ProfileKey) -> PolicyContent {
        var content = PolicyContent()
        for policy in key.policies {
            for rule in policies[policy]?.rules(key.direction) ?? [] {
                content.add(
                    rule, direction: key.direction, own: key.ports,
                    addresses: { selector in
                        (groups[selector]?.members ?? []).flatMap { addresses(of: $0) }
                    },
                    portsOfPeers: { selector, name in
                        (groups[selector]?.members ?? []).flatMap { uid -> [(IPAddress, UInt16)] in
                            guard let number = pods[uid]?.ports[name] else { return [] }
                            return addresses(of: uid).map { ($0, number) }
                        }
                    })
            }
        }
        content.finish()
        return content
    }

    /// Compares which addresses lead to which profiles with what was told before.
    private mutating func direct(_ direction: PolicyDirection, _ change: inout PolicyChange) {
        let before = isolated[direction] ?? [:]
        var now: [IPAddress: Int] = [:]
        for (uid, key) in (profileOfPod[direction] ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let profile = profiles[key] else { continue }
            for address in addresses(of: uid) { now[address] = profile.number }
        }
        for (address, number) in before where now[address] != number {
            change.undirected.append(.init(direction: direction, address: address, profile: number))
        }
        for (address, number) in now where before[address] != number {
            change.directed.append(.init(direction: direction, address: address, profile: number))
        }
        change.undirected.sort()
        change.directed.sort()
        isolated[direction] = now
    }
}

extension PolicyText {
    fileprivate var selectors: Set<PeerSelector> {
        let rules = (ingress ?? []) + (egress ?? [])
        var result = Set(rules.flatMap { $0.peers ?? [] })
        // A port that is named on the way out is looked for among all pods where nobody is named.
        let needsAll = (egress ?? []).contains { rule in
            rule.peers == nil && (rule.ports ?? []).contains { if case .named = $0 { true } else { false } }
        }
        if needsAll { result.insert(.everyPod) }
        return result
    }
}
