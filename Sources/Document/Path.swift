/// One step on the way from a document to a value inside it.
public enum PathStep: Sendable, Hashable {
    case key(String)
    case index(Int)

    /// The way people write it in error messages: `spec.containers[0].image`.
    public static func text(of path: some Sequence<PathStep>) -> String {
        var text = ""
        for step in path {
            switch step {
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            case .index(let index): text += "[\(index)]"
            }
        }
        return text
    }
}
