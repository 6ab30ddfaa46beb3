import Document

/// A node's mark that keeps pods away.
struct Taint: Sendable, Equatable {
    var key: String
    var value: String
    var effect: String

    init(key: String, value: String = "", effect: String) {
        self.key = key
        self.value = value
        self.effect = effect
    }

    init(_ document: Document) {
        self.init(
            key: document.text("key") ?? "", value: document.text("value") ?? "",
            effect: document.text("effect") ?? "")
    }

    var keepsAway: Bool { effect == "NoSchedule" || effect == "NoExecute" }
}

struct Toleration: Sendable, Equatable {
    var key: String
    var action: String
    var value: String
    var effect: String

    init(_ document: Document) {
        key = document.text("key") ?? ""
        action = document.text("operator") ?? ""
        value = document.text("value") ?? ""
        effect = document.text("effect") ?? ""
    }

    func covers(_ taint: Taint) -> Bool {
        if !effect.isEmpty, effect != taint.effect { return false }
        if !key.isEmpty, key != taint.key { return false }
        switch action {
        case "Exists": return true
        case "", "Equal": return key == taint.key && value == taint.value
        case "Lt", "Gt":
            guard let mark = Int64(taint.value), let bound = Int64(value) else { return false }
            return action == "Lt" ? mark < bound : mark > bound
        default: return false
        }
    }
}

extension [Toleration] {
    func cover(_ taint: Taint) -> Bool { contains { $0.covers(taint) } }
}
