import Basics
import Document
import Schema

/// What all objects of a namespace use of a quota.
public enum QuotaCount {
    /// The quota with its status counted anew; nil where it says so already.
    ///
    /// - Parameter objects: those of the quota's namespace, by the name that quotas have for their kind. Of kinds that
    ///   are missing here the quota keeps the count that it has.
    public static func counted(_ quota: Document, objects: [String: [Document]], now: Timestamp) -> Document? {
        let hard = ResourceAmounts.amounts(quota.at("spec", "hard"))
        let before = ResourceAmounts.amounts(quota.at("status", "used"))
        var used = before.filter { hard[$0.key] != nil }
        for (kind, objects) in objects {
            for name in hard.keys where QuotaUsage.concerns(name, kind) { used[name] = .zero }
            for object in objects where QuotaScopes.matches(quota, object, kind: kind, hard: hard) {
                for (name, amount) in QuotaUsage.usage(object, kind: kind, now: now) where hard[name] != nil {
                    used[name] = (used[name] ?? Quantity.zero) + amount
                }
            }
        }
        let shown = ResourceAmounts.amounts(quota.at("status", "hard"))
        if quota.at("status", "hard") != nil, quota.at("status", "used") != nil, shown == hard, used == before {
            return nil
        }
        var counted = quota
        counted["status"] = [
            "hard": quota.at("spec", "hard") ?? .emptyObject,
            "used": Document(
                members: used.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value.description)) }),
        ]
        return counted
    }

    /// Whether a quota with these limits counts objects of the kind.
    public static func concerns(_ quota: Document, _ kind: String) -> Bool {
        (quota.at("spec", "hard")?.members ?? []).contains { QuotaUsage.concerns(String($0.key), kind) }
    }
}
