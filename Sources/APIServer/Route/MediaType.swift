import Kinds
import Wire

/// In which form a client wants its answer.
struct MediaType: Sendable, Equatable {
    enum Format: Sendable { case json, yaml, protobuf }
    enum Shape: Sendable { case whole, table, partial, partialList }

    static let known = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]

    var format = Format.json
    var shape = Shape.whole
    /// `meta.k8s.io/v1` or the older `v1beta1`, which clients may still ask for.
    var metaVersion = "v1"
    /// JSON for people to read.
    var pretty = false

    var contentType: String {
        switch format {
        case .json: "application/json"
        case .yaml: "application/yaml"
        case .protobuf: "application/vnd.kubernetes.protobuf"
        }
    }

    /// The form for the answer to a request, whose sender may be a person: one who says so, a browser, or a tool that
    /// shows what it gets.
    static func negotiate(_ request: Request, protobuf: Bool = true) throws(APIStatus) -> MediaType {
        var type = try negotiate(request.headers["Accept"], protobuf: protobuf)
        let wish = RequestInfo(request).query["pretty"] ?? ""
        let agent = request.headers["User-Agent"] ?? ""
        if wish.isEmpty {
            type.pretty = type.pretty || ["curl", "Wget", "Mozilla/5.0"].contains { agent.hasPrefix($0) }
        } else {
            type.pretty = type.pretty || ["1", "t", "T", "true", "True", "TRUE"].contains(wish)
        }
        return type
    }

    /// The first clause of an Accept header that can be served, those with more weight before those with less. Custom resources have no protobuf form, nor have
    /// tables: clients that name JSON as their second choice get that.
    static func negotiate(_ accept: String?, protobuf: Bool = true) throws(APIStatus) -> MediaType {
        guard let accept, accept.contains(where: { $0 != " " }) else { return MediaType() }
        var knewOne = false
        for parts in clauses(accept) {
            var parts = parts[...]
            guard let name = parts.popFirst() else { continue }
            var type = MediaType()
            switch name.lowercased() {
            case "application/json", "*/*": type.format = .json
            case "application/yaml": type.format = .yaml
            case "application/vnd.kubernetes.protobuf": type.format = .protobuf
            default: continue
            }
            knewOne = true
            var parameters: [String: String] = [:]
            for part in parts {
                let pair = part.split(separator: "=", maxSplits: 1)
                if pair.count == 2 { parameters[String(pair[0])] = String(pair[1]) }
            }
            type.pretty = parameters["pretty"] == "1"
            if let wanted = parameters["as"] {
                guard parameters["g"] == "meta.k8s.io", let version = parameters["v"],
                    ["v1", "v1beta1"].contains(version)
                else { continue }
                type.metaVersion = version
                switch wanted {
                case "Table": type.shape = .table
                case "PartialObjectMetadata": type.shape = .partial
                case "PartialObjectMetadataList": type.shape = .partialList
                default: continue
                }
            }
            if type.format == .protobuf {
                switch type.shape {
                case .table: continue
                case .whole: if !protobuf { continue }
                case .partial, .partialList: break
                }
            }
            return type
        }
        guard knewOne else { throw .notAcceptable }
        throw .failure(
            406, "NotAcceptable", "only the following media types are accepted: " + known.joined(separator: ", "))
    }

    /// What stands between the commas, in the order of weights; of equal weight, in the order given.
    private static func clauses(_ accept: String) -> [[String]] {
        let clauses = accept.split(separator: ",").map { $0.split(separator: ";").map(trimmed) }
        func weight(_ clause: [String]) -> Double {
            clause.first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
        }
        guard accept.contains("q=") else { return clauses }
        return clauses.enumerated().sorted { a, b in
            (weight(b.element), a.offset) < (weight(a.element), b.offset)
        }.map(\.element)
    }

    /// Whether a client that says `accept` takes an answer of that type.
    static func accepts(_ type: String, _ accept: String?) -> Bool {
        guard let accept, accept.contains(where: { $0 != " " }) else { return true }
        let wild = (type.split(separator: "/").first.map(String.init) ?? "") + "/*"
        return accept.split(separator: ",").contains { clause in
            let name = clause.split(separator: ";").first.map(trimmed)?.lowercased() ?? ""
            return name == type || name == "*/*" || name == wild
        }
    }

    /// Whether the aggregated form of discovery is asked for before the plain one.
    static func wantsAggregatedDiscovery(_ accept: String?) -> Bool {
        for clause in (accept ?? "").split(separator: ",") {
            let parts = Set(clause.split(separator: ";").map(trimmed))
            guard parts.contains("application/json") else { continue }
            if parts.contains("as=APIGroupDiscoveryList") {
                if parts.contains("v=v2"), parts.contains("g=apidiscovery.k8s.io") { return true }
                continue
            }
            return false
        }
        return false
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
