import Basics
import Document

/// Replaces what differs from run to run by what stands for it in recorded answers. It remembers, so that the same
/// value is the same in all answers of one trace.
struct TraceNormaliser {
    private let namespace: String
    private let run: String
    private let isOpaque: Bool
    private let keepsManagedFields: Bool
    private let now: Timestamp
    private var seen: [String: [String: Int]] = [:]
    private var dynamic: [(real: String, placeholder: String)] = []
    private var prefixes: [String] = []

    init(namespace: String, run: String, isOpaque: Bool, keepsManagedFields: Bool, now: Timestamp) {
        self.namespace = namespace
        self.run = run
        self.isOpaque = isOpaque
        self.keepsManagedFields = keepsManagedFields
        self.now = now
    }

    private mutating func number(_ kind: String, _ value: String) -> String {
        let known = seen[kind]?[value]
        let number = known ?? (seen[kind]?.count ?? 0) + 1
        if known == nil { seen[kind, default: [:]][value] = number }
        return "<\(kind)-\(number)>"
    }

    /// Remembers a prefix whose result may show up in a message only.
    mutating func requested(_ body: Document) {
        if let prefix = body["metadata"]?["generateName"]?.string, !prefix.isEmpty, !prefixes.contains(prefix) {
            prefixes.append(prefix)
        }
    }

    /// Remembers made names and given addresses before texts are rewritten.
    mutating func learn(_ value: Document) {
        if value.isArray { for child in value.elements { learn(child) } }
        guard value.isObject else { return }
        if let prefix = value["generateName"]?.string, !prefix.isEmpty, let name = value["name"]?.string,
            name != prefix,
            name.hasPrefix(prefix)
        {
            remember(name, prefix + "<suffix>")
        }
        if let address = value["clusterIP"]?.string, !address.isEmpty, address != "None",
            !dynamic.contains(where: { $0.real == address })
        {
            remember(address, number("clusterIP", address))
        }
        for member in value.members.sorted(by: { $0.key < $1.key }) { learn(member.value) }
    }

    private mutating func remember(_ real: String, _ placeholder: String) {
        if !dynamic.contains(where: { $0.real == real }) { dynamic.append((real, placeholder)) }
    }

    mutating func body(_ value: Document, isList: Bool = false) -> Document { walk(value, "", isList) }

    private mutating func walk(_ value: Document, _ key: String, _ isList: Bool) -> Document {
        if value.isObject { return mapping(value, key, isList) }
        if value.isArray {
            var result: [Document] = []
            for child in value.elements { result.append(walk(child, key, false)) }
            if key == "managedFields" {
                func rank(_ entry: Document) -> String {
                    ["operation", "manager", "subresource", "apiVersion"].map { entry[$0]?.string ?? "None" }
                        .joined(separator: "\u{1}")
                }
                result.sort { rank($0) < rank($1) }
            }
            return Document(result)
        }
        if let text = value.string {
            if key == "resourceVersion", text != "0", !text.isEmpty, text.utf8.allSatisfy(TraceText.isDigit) {
                return Document(isList || isOpaque ? "<rv>" : number("rv", text))
            }
            if key == "continue", !text.isEmpty { return "<continue>" }
            if TraceText.token(Array(text.utf8)[...]) == text.utf8.count { return token(text) }
            return Document(plain(text))
        }
        if ["nodePort", "healthCheckNodePort"].contains(key), let port = value.int, port != 0 {
            return Document(number("nodePort", String(port)))
        }
        return value
    }

    private mutating func mapping(_ given: Document, _ key: String, _ isList: Bool) -> Document {
        var value = given
        if key == "metadata", !keepsManagedFields { value["managedFields"] = .none }
        if value["kind"]?.string == "Table" { value = Self.table(value) }
        let isCollection = value["items"] != nil || value["rows"] != nil || (isList && key.isEmpty)
        var result: [(String, Document)] = []
        for member in value.members.sorted(by: { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }) {
            // At the root a key may be a whole path that was selected.
            let last =
                key.isEmpty ? member.key.split(separator: ".").last.map(String.init) ?? member.key : member.key
            let inList = last == "resourceVersion" ? isList : isCollection
            result.append((plain(member.key), walk(member.value, last, inList)))
        }
        return Document(members: result)
    }

    static func table(_ table: Document) -> Document {
        guard let rows = table["rows"], rows.isArray else { return table }
        var table = table
        table["rows"] = Document(
            rows.elements.map { row in
                var row = row
                let cells = (row["cells"]?.elements ?? []).map { cell in
                    cell.string.map(TraceText.isAge) ?? false ? Document("<age>") : cell
                }
                row["cells"] = Document(cells)
                return row
            })
        return table
    }

    /// The columns of tables are described in words of our own.
    static func withoutColumnTexts(_ body: Document) -> Document {
        guard body.isObject else {
            return body.isArray ? Document(body.elements.map { withoutColumnTexts($0) }) : body
        }
        var body = body
        if let object = body["object"] { body["object"] = withoutColumnTexts(object) }
        for member in body.members where member.key.hasPrefix("columnDefinitions") && member.value.isArray {
            body[member.key] = Document(
                member.value.elements.map { column in
                    guard column.isObject else { return column }
                    var column = column
                    column["description"] = .none
                    return column
                })
        }
        return body
    }

    mutating func plain(_ given: String) -> String {
        var text = given
        for (real, placeholder) in dynamic { text = TraceText.replacing(text, real, placeholder) }
        text = TraceText.replacing(text, namespace, "{ns}")
        text = TraceText.replacing(text, run, "{run}")
        for prefix in prefixes {
            text = TraceText.replacing(text) { bytes in
                TraceText.generated(prefix, bytes).map { ($0, prefix + "<suffix>") }
            }
        }
        if text.utf8.count < 7 { return text }
        text = TraceText.replacing(text) { bytes in
            switch bytes.first ?? 0 {
            case UInt8(ascii: "k"): return TraceText.tokenVolume(bytes).map { ($0, "kube-api-access-<suffix>") }
            case UInt8(ascii: ":"): return TraceText.nodePort(bytes)
            case UInt8(ascii: "X"): return TraceText.fingerprint(bytes)
            case UInt8(ascii: "e") where bytes.dropFirst().first == UInt8(ascii: "y"):
                return TraceText.token(bytes).map { ($0, "<jwt>") }
            case 48...57, 97...102: return identifier(bytes)
            default: return nil
            }
        }
        return given.utf8.count > 20 ? TraceText.replacing(text, TraceText.revision) : text
    }

    /// A UUID, or a time of these days.
    private mutating func identifier(_ bytes: ArraySlice<UInt8>) -> (length: Int, with: String)? {
        if let length = TraceText.uuid(bytes) {
            return (length, number("uid", String(decoding: bytes.prefix(length), as: UTF8.self)))
        }
        guard let (length, hasFraction) = TraceText.time(bytes) else { return nil }
        let shown = String(decoding: bytes.prefix(length), as: UTF8.self)
        guard let time = Timestamp(rfc3339: shown) else { return nil }
        let age = now.seconds - time.seconds
        return abs(age) > 2 * 86_400 ? (length, shown) : (length, hasFraction ? "<microtime>" : "<time>")
    }

    /// A token's claims, its times counted from when it was issued.
    private mutating func token(_ text: String) -> Document {
        let parts = text.split(separator: ".")
        guard let head = Base64.decode(parts[0], url: true), let body = Base64.decode(parts[1], url: true),
            let header = try? Document(json: head), var claims = try? Document(json: body)
        else { return "<jwt>" }
        let issued = claims["iat"]?.int ?? 0
        func since(_ value: Document?) -> Document? {
            guard let time = value?.int else { return nil }
            return Document("iat" + (time < issued ? "" : "+") + "\(time - issued)")
        }
        for name in ["nbf", "exp"] { if let text = since(claims[name]) { claims[name] = text } }
        if claims["iat"] != nil { claims["iat"] = "<time>" }
        if var inner = claims["kubernetes.io"], let text = since(inner["warnafter"]) {
            inner["warnafter"] = text
            claims["kubernetes.io"] = inner
        }
        return ["<jwt>": ["alg": header["alg"] ?? .null, "claims": walk(claims, "", false)]]
    }
}
