import Basics
import Document
import Linux
import Wire

/// A webhook's behaviour, as its file says it. For admission
///
///     {"delay": 5, "rules": [{"when": {"object": {"data": {"a": "b"}}}, "allowed": false, "message": "no"},
///                            {"when": {...}, "patch": [{"op": "add", ...}]}]}
///
/// where the first rule decides whose `when` the request has, and what no rule is about is admitted; for the
/// conversion of objects that have a text in one version and its parts in the others
///
///     {"joined": {"version": "v1", "field": "hostPort", "parts": ["host", "port"]}}
struct Hook: Sendable {
    private let rules: [Document]
    private let joined: Document?
    let delay: Duration

    init(_ file: Document) {
        rules = file["rules"]?.elements ?? []
        joined = file["joined"]
        delay = .seconds(file["delay"]?.double ?? 0)
    }

    /// The answer to an AdmissionReview or a ConversionReview.
    func answer(_ review: Document) -> Document {
        let request = review["request"] ?? .emptyObject
        var response = joined.map { Self.converted(request, $0) } ?? judged(request)
        response["uid"] = request["uid"] ?? ""
        return ["apiVersion": review["apiVersion"] ?? "", "kind": review["kind"] ?? "", "response": response]
    }

    private func judged(_ request: Document) -> Document {
        guard let rule = rules.first(where: { Self.has(request, $0["when"] ?? .emptyObject) }) else {
            return ["allowed": true]
        }
        var response: Document = ["allowed": rule["allowed"] ?? true]
        if let message = rule["message"] { response["status"] = ["message": message, "code": 403] }
        if let patch = rule["patch"] {
            response["patchType"] = "JSONPatch"
            response["patch"] = Document(Base64.encode(patch.json))
        }
        return response
    }

    /// Whether a document has all that is wanted of it.
    private static func has(_ document: Document?, _ wanted: Document) -> Bool {
        guard wanted.isObject else { return document?.means(wanted) ?? wanted.isNull }
        guard let document, document.isObject else { return false }
        return wanted.members.allSatisfy { has(document[$0.key], $0.value) }
    }

    private static func converted(_ request: Document, _ joined: Document) -> Document {
        let wanted = request["desiredAPIVersion"]?.string ?? ""
        let version = wanted.split(separator: "/").last.map(String.init) ?? wanted
        let field = joined["field"]?.string ?? ""
        let parts = (joined["parts"]?.elements ?? []).compactMap(\.string)
        let objects = (request["objects"]?.elements ?? []).map { object -> Document in
            var object = object
            if version == joined["version"]?.string {
                if object[field] == nil {
                    let texts = parts.map { object[$0]?.string ?? "" }
                    object[field] = Document(texts.joined(separator: ":"))
                }
                for part in parts { object[part] = .none }
            } else if let text = object[field]?.string {
                let texts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
                for (part, text) in zip(parts, texts) { object[part] = Document(text) }
                object[field] = .none
            }
            object["apiVersion"] = Document(wanted)
            return object
        }
        return ["convertedObjects": Document(objects), "result": ["status": "Success"]]
    }
}

extension Testbox {
    /// Webhooks for admission and conversion: `/NAME` does what the file `NAME.json` of the directory says. What was
    /// asked is a line each in the log.
    func serveHooks(_ port: UInt16, directory: String, names: [String]) async throws -> Int32 {
        let clock = world.clock
        return try await serveSecurely(port, names: names) { request in
            let path = request.target.split(separator: "?").first ?? "/"
            let name = path.dropFirst()
            guard !name.isEmpty, !name.contains("/"), let text = try? Files.read("\(directory)/\(name).json"),
                let file = try? Document(json: text), let review = try? Document(json: request.body)
            else { return .json(404, Document("there is no hook \(path)").json) }
            let hook = Hook(file)
            Output.line("\(path) \(review["request"]?["operation"]?.string ?? "convert")")
            do { try await clock.sleep(for: hook.delay) } catch { return .json(503, Document("stopped").json) }
            return .json(200, hook.answer(review).json)
        }
    }
}
