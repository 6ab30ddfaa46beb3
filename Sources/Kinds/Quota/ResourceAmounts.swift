import Document
import Schema

/// Amounts by resource name.
public typealias Amounts = [String: Quantity]

/// What a pod asks for as a whole.
public enum ResourceAmounts {
    public static func amounts(_ document: Document?) -> Amounts {
        var result: Amounts = [:]
        for member in document?.members ?? [] {
            if let text = member.value.string {
                result[member.key] = Quantity(text)
            } else if let number = member.value.int {
                result[member.key] = Quantity(number)
            }
        }
        return result
    }

    public static func sum(_ a: Amounts, _ b: Amounts) -> Amounts { a.merging(b) { $0 + $1 } }
    private static func most(_ a: Amounts, _ b: Amounts) -> Amounts { a.merging(b) { max($0, $1) } }

    /// The sum over the containers, or what the init containers need at most if that is more. Init containers that
    /// go on running count on both sides. `field` is `requests` or `limits`.
    public static func containers(_ spec: Document, _ field: String) -> Amounts {
        var total: Amounts = [:]
        for container in spec.list("containers") { total = sum(total, amounts(container.at("resources", field))) }
        var running: Amounts = [:]
        var start: Amounts = [:]
        for container in spec.list("initContainers") {
            let own = amounts(container.at("resources", field))
            if container.text("restartPolicy") == "Always" {
                total = sum(total, own)
                running = sum(running, own)
                start = most(start, running)
            } else {
                start = most(start, sum(running, own))
            }
        }
        return most(total, start)
    }

    /// `containers`, unless the pod says it for itself, and the overhead of its runtime.
    public static func pod(_ spec: Document, _ field: String) -> Amounts {
        var total = containers(spec, field)
        for (name, amount) in amounts(spec.at("resources", field)) { total[name] = amount }
        let overhead = amounts(spec["overhead"])
        // An overhead raises only limits that there are.
        for (name, amount) in overhead where field == "requests" || total[name].map({ !$0.isZero }) == true {
            total[name] = (total[name] ?? .zero) + amount
        }
        return total
    }
}
