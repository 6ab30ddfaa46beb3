import Document
import Schema

extension KindRules {
    static let nodeMetrics: KindRules = {
        var rules = KindRules()
        rules.cells = { object, _ in UsageCells.cells([object["usage"] ?? .emptyObject], object) }
        return rules
    }()

    static let podMetrics: KindRules = {
        var rules = KindRules()
        rules.cells = { object, _ in
            UsageCells.cells(object.list("containers").map { $0["usage"] ?? .emptyObject }, object)
        }
        return rules
    }()
}

private enum UsageCells {
    static func cells(_ usages: [Document], _ object: Document) -> [Document] {
        ["cpu", "memory"].map { name in
            var sum: Quantity?
            for usage in usages {
                guard let amount = usage.quantities()[name] else { continue }
                sum = sum.map { $0 + amount } ?? amount
            }
            return Document(sum?.description ?? "0")
        } + [object["window"] ?? ""]
    }
}
