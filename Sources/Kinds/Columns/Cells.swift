import Basics
import Document
import Schema

extension Kinds {
    /// The cells of an object's row in a table, in the order of the resource's columns.
    public static func tableCells(_ object: Document, resource: ResourceInfo, now: Timestamp) -> [Document] {
        let rules = rules(for: resource)
        let name = rules.nameCell?(object) ?? object.at("metadata", "name") ?? ""
        guard let cells = rules.cells else {
            return resource.columns.isEmpty ? [name, object.at("metadata", "creationTimestamp") ?? .null] : [name]
        }
        let rest = cells(object, now)
        // Where the name is not the first column, the kind gives every cell itself.
        return resource.columns.first?.format == "name" ? [name] + rest : rest
    }
}

extension Kinds {
    /// How long ago an object was made.
    public static func ageCell(of object: Document, now: Timestamp) -> Document { Cells.age(object, now: now) }
}

/// Parts of cells that many kinds share.
enum Cells {
    static let none: Document = "<none>"

    static func age(_ object: Document, now: Timestamp) -> Document {
        Document(since(object.text("metadata", "creationTimestamp"), now: now))
    }

    /// How long ago a time was, `<unknown>` where there is none.
    static func since(_ time: String?, now: Timestamp) -> String {
        guard let time, let then = Timestamp(rfc3339: time) else { return "<unknown>" }
        return age(seconds: Int((now - then).wholeSeconds))
    }

    /// A span in at most two units, the fewer the longer it is, as kubectl shows ages.
    static func age(seconds: Int) -> String {
        if seconds < -1 { return "<invalid>" }
        if seconds < 0 { return "0s" }
        if seconds < 120 { return "\(seconds)s" }
        let minutes = seconds / 60
        if minutes < 10 { return seconds % 60 == 0 ? "\(minutes)m" : "\(minutes)m\(seconds % 60)s" }
        if minutes < 180 { return "\(minutes)m" }
        let hours = minutes / 60
        if hours < 8 { return minutes % 60 == 0 ? "\(hours)h" : "\(hours)h\(minutes % 60)m" }
        if hours < 48 { return "\(hours)h" }
        let days = hours / 24
        if hours < 192 { return hours % 24 == 0 ? "\(days)d" : "\(days)d\(hours % 24)h" }
        if days < 730 { return "\(days)d" }
        let years = days / 365
        if days < 2920 { return days % 365 == 0 ? "\(years)y" : "\(years)y\(days % 365)d" }
        return "\(years)y"
    }

    static func orNone(_ text: String?) -> Document {
        guard let text, !text.isEmpty else { return none }
        return Document(text)
    }

    /// Labels as `a=b,c=d` in the order of their keys.
    static func labels(_ labels: [String: String]) -> Document {
        if labels.isEmpty { return none }
        return Document(labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ","))
    }

    static func selector(_ document: Document?) -> Document {
        guard let document, let selector = LabelSelector(document) else { return none }
        return selector.isEmpty ? none : Document(selector.description)
    }

    /// Names and images of a template's containers.
    static func containers(_ template: Document?) -> [Document] {
        let containers = template?.list("spec", "containers") ?? []
        return ["name", "image"].map { field in
            Document(containers.map { $0.text(field) ?? "" }.joined(separator: ","))
        }
    }
}
