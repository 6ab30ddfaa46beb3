import Basics
import Document
import Kinds
import Schema

/// What a write does to the quotas of its namespace: pure, so that every refusal is a unit test.
struct QuotaCharge {
    struct Refusal: Error, Equatable { var message: String }

    let kind: String
    let object: Document
    /// The object before, for changes.
    let old: Document?
    let now: Timestamp

    /// The quotas that the write changes, each with its new use; `skipping` names those that it was charged to already.
    func apply(to quotas: [Document], skipping: Set<String> = []) throws(Refusal) -> [(quota: Document, used: Amounts)]
    {
        var concerned: [(quota: Document, hard: Amounts)] = []
        for quota in quotas {
            let hard = PodResources.amounts(quota.at("status", "hard"))
            guard QuotaScopes.matches(quota, object, kind: kind, hard: hard) else { continue }
            let name = quota.text("metadata", "name") ?? ""
            let names = Set(hard.keys.filter { QuotaUsage.concerns($0, kind) })
            if kind == "pods", let missing = QuotaUsage.missing(object, names) {
                throw Refusal(message: "failed quota: \(name): \(missing)")
            }
            let used = PodResources.amounts(quota.at("status", "used"))
            guard names.allSatisfy({ used[$0] != nil }) else {
                throw Refusal(
                    message: "status unknown for quota: \(name), resources: \(names.sorted().joined(separator: ","))")
            }
            if !skipping.contains(name) { concerned.append((quota, hard)) }
        }
        if concerned.isEmpty { return [] }
        let delta = try change()
        if delta.isEmpty { return [] }
        var result: [(quota: Document, used: Amounts)] = []
        for (quota, hard) in concerned {
            let requested = delta.filter { hard[$0.key] != nil }
            if requested.isEmpty { continue }
            let used = PodResources.amounts(quota.at("status", "used"))
            let sum = PodResources.sum(used, requested)
            let exceeded = requested.keys.filter { (sum[$0] ?? .zero) > (hard[$0] ?? .zero) }
            guard exceeded.isEmpty else {
                func shown(_ amounts: Amounts) -> String {
                    exceeded.sorted().map { "\($0)=\(amounts[$0] ?? .zero)" }.joined(separator: ",")
                }
                throw Refusal(
                    message: "exceeded quota: \(quota.text("metadata", "name") ?? ""), requested: \(shown(requested)), "
                        + "used: \(shown(used)), limited: \(shown(hard))")
            }
            result.append((quota, sum))
        }
        return result
    }

    /// What the write adds to the use; less than nothing where an object shrinks.
    private func change() throws(Refusal) -> Amounts {
        let wanted = QuotaUsage.usage(object, kind: kind, now: now)
        let negative = wanted.filter { $0.value < .zero }.keys.sorted()
        guard negative.isEmpty else {
            throw Refusal(message: "quota usage is negative for resource(s): \(negative.joined(separator: ","))")
        }
        var delta = wanted
        if let old, !(old.text("metadata", "resourceVersion") ?? "").isEmpty {
            for (name, amount) in QuotaUsage.usage(old, kind: kind, now: now) {
                delta[name] = (delta[name] ?? .zero) - amount
            }
        }
        return delta.filter { !$0.value.isZero }
    }

    /// The quota with its new use.
    static func charged(_ quota: Document, _ used: Amounts) -> Document {
        var result = quota
        let members = used.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value.description)) }
        result.set(Document(members: members), at: "status", "used")
        return result
    }
}
