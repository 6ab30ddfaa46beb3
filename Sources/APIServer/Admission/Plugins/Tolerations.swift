import Document

/// Lists of tolerations, put together without what others already cover.
enum Tolerations {
    static func merged(_ first: [Document], _ second: [Document]) -> [Document] {
        let all = first + second
        var result: [Document] = []
        for (index, toleration) in all.enumerated() {
            if result.contains(where: { covers($0, toleration) }) { continue }
            // Of equal ones the first stays.
            let isCovered = all[(index + 1)...].contains { !$0.means(toleration) && covers($0, toleration) }
            if !isCovered { result.append(toleration) }
        }
        return result
    }

    /// Whether whatever `small` tolerates is tolerated by `large`.
    static func covers(_ large: Document, _ small: Document) -> Bool {
        if large.means(small) { return true }
        func text(_ toleration: Document, _ field: String) -> String { toleration.text(field) ?? "" }
        let takesAllKeys = text(large, "key").isEmpty && text(large, "operator") == "Exists"
        guard text(small, "key") == text(large, "key") || takesAllKeys else { return false }
        let effect = text(large, "effect")
        guard effect.isEmpty || effect == text(small, "effect") else { return false }
        if effect == "NoExecute", let seconds = large.number("tolerationSeconds") {
            guard let own = small.number("tolerationSeconds"), own <= seconds else { return false }
        }
        switch text(large, "operator") {
        case "Exists": return true
        case "Equal", "": return text(small, "operator") == "Equal" && text(small, "value") == text(large, "value")
        default: return false
        }
    }
}
