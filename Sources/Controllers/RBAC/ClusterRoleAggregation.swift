import Client
import Document
import Kinds

/// Fills cluster roles that are the sum of others with the others' rules.
struct ClusterRoleAggregation: Controller {
    let name = "clusterrole-aggregation-controller"
    let workers = 1
    private let roles: Informer

    init(_ informers: Informers) { roles = informers(.clusterRoles) }

    var sources: [Source] {
        let roles = roles
        // Any role may be a part of any sum.
        return [Source(roles) { _ in roles.all.filter { $0["aggregationRule"] != nil }.map(\.name) }]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let role = roles.get(key: key) else { return .nothing }
        return Self.plan(role, among: roles.all)
    }

    static func plan(_ role: Document, among roles: [Document]) -> Plan {
        let selectors = role.list("aggregationRule", "clusterRoleSelectors").compactMap { LabelSelector($0) }
        if selectors.isEmpty || role.isTerminating { return .nothing }
        var rules: [Document] = []
        for part in roles.sorted(by: { $0.name < $1.name }) where part.name != role.name {
            let labels = part.labels
            guard selectors.contains(where: { $0.matches(labels) }) else { continue }
            for rule in part.list("rules") where !rules.contains(where: { $0.isSame(as: rule) }) { rules.append(rule) }
        }
        if Document(role.list("rules")).isSame(as: Document(rules)) { return .nothing }
        var sum = role
        sum["rules"] = Document(rules)
        return Plan(steps: [.inOrder([.update(.clusterRoles, sum)])])
    }
}
