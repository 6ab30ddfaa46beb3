import APIServer
import Basics
import Document
import Synchronization
import Wire

/// What an answer is when it is not as recorded.
struct TraceMismatch: Error, CustomStringConvertible {
    var place: String
    var lines: [String]
    var description: String { ([place] + lines.prefix(12)).joined(separator: "\n    ") }
}

/// One recorded conversation, had again with a server in the same process.
final class TraceRun {
    private let server: APIServer
    private let caller: PeerIdentity
    private let world: World
    private let trace: Document
    private let namespace: String
    private var values: [String: Document]
    private var created: [String] = []
    private var normaliser: TraceNormaliser

    private static let patience = Duration.seconds(15)

    init(_ trace: Document, number: Int, server: APIServer, caller: PeerIdentity, world: World) {
        self.trace = trace
        self.server = server
        self.caller = caller
        self.world = world
        let run = "r" + String(1_000_000 + number, radix: 36) + "x"
        namespace = "trace-\(run)"
        values = ["ns": Document(namespace), "run": Document(run)]
        normaliser = TraceNormaliser(
            namespace: namespace, run: run, isOpaque: trace["rv"]?.string == "opaque",
            keepsManagedFields: trace["managedFields"]?.bool ?? false, now: world.clock.now)
    }

    func execute() async throws {
        let steps = trace["steps"]?.elements ?? []
        let usesNamespace = trace["steps"]?.jsonText.contains("{ns}") ?? false
        if usesNamespace {
            for (path, kind, name) in [
                ("", "Namespace", namespace), ("/\(namespace)/serviceaccounts", "ServiceAccount", "default"),
            ] {
                let made = try await send(
                    "POST", "/api/v1/namespaces" + path, [:],
                    body: (["apiVersion": "v1", "kind": Document(kind), "metadata": ["name": Document(name)]]
                        as Document)
                        .json, type: "application/json")
                guard made.status == 201 else { throw TraceMismatch(place: "setup", lines: [made.text]) }
            }
        }
        do {
            try await perform(steps, "step ")
        } catch {
            await cleanUp(usesNamespace)
            throw error
        }
        await cleanUp(usesNamespace)
    }

    private func perform(_ steps: [Document], _ label: String) async throws {
        for (index, step) in steps.enumerated() {
            let place = "\(label)\(index + 1)"
            if let seconds = step["sleep"]?.double {
                try await world.clock.sleep(for: .seconds(seconds))
            } else if step["watch"] != nil {
                try await watch(step, place)
            } else {
                try await ask(step, "\(place) \(step["do"]?.string ?? "")")
            }
        }
    }

    // MARK: Placeholders

    private func fill(_ text: String, _ shown: (Document) -> String) -> String {
        guard text.contains("{") else { return text }
        var out = ""
        var rest = Substring(text)
        while let open = rest.firstIndex(of: "{") {
            out += rest[..<open]
            let tail = rest[rest.index(after: open)...]
            let name = tail.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
            if !name.isEmpty, tail.dropFirst(name.count).first == "}", let value = values[String(name)] {
                out += shown(value)
                rest = tail.dropFirst(name.count + 1)
            } else {
                out += "{"
                rest = tail
            }
        }
        return out + rest
    }

    private static func shown(_ value: Document) -> String { value.string ?? value.jsonText }

    private func fill(_ value: Document) -> Document {
        if value.isArray { return Document(value.elements.map { fill($0) }) }
        if value.isObject {
            return Document(members: value.members.map { (fill($0.key, Self.shown), fill($0.value)) })
        }
        guard let text = value.string else { return value }
        if text.hasPrefix("{"), text.hasSuffix("}"), let whole = values[String(text.dropFirst().dropLast())] {
            return whole
        }
        return Document(fill(text, Self.shown))
    }

    private func path(_ text: String) -> String {
        fill(text) { value in
            var out = ""
            for byte in Self.shown(value).utf8 {
                if TraceText.isWord(byte) || byte == 45 || byte == 46 || byte == 126 {
                    out.unicodeScalars.append(Unicode.Scalar(byte))
                } else {
                    out += "%" + Hex.encode([byte]).uppercased()
                }
            }
            return out
        }
    }

    // MARK: Requests

    struct Reply: Sendable {
        var status: Int
        var headers: Headers
        var bytes: [UInt8]
        var json: Document?
        var text: String { String(decoding: bytes, as: UTF8.self) }
        var type: String { headers["Content-Type"] ?? "" }

        init(status: Int, headers: Headers, bytes: [UInt8]) {
            self.status = status
            self.headers = headers
            self.bytes = bytes
            json = bytes.isEmpty ? .none : try? Document(json: bytes)
        }

        var warnings: [String] {
            headers.all("Warning").compactMap { line in
                guard line.hasPrefix("299 "), let open = line.firstIndex(of: "\"") else { return nil }
                var out = ""
                var isEscaped = false
                for character in line[line.index(after: open)...].dropLast() {
                    if character == "\\", !isEscaped {
                        isEscaped = true
                        continue
                    }
                    out.append(character)
                    isEscaped = false
                }
                return out
            }
        }
    }

    /// A request as the step wants it; its caller is the administrator unless the step says otherwise.
    private func request(_ method: String, _ target: String, _ step: Document, body: [UInt8], type: String?) -> Request
    {
        var headers = Headers([
            ("User-Agent", "replay-traces/1.0"), ("Accept", step["accept"]?.string ?? "application/json"),
        ])
        let auth = step["auth"]
        if let token = auth?["token"]?.string { headers.add("Authorization", "Bearer \(token)") }
        if let who = step["as"] {
            if let user = who["user"]?.string { headers.add("Impersonate-User", user) }
            for group in who["groups"]?.elements ?? [] { headers.add("Impersonate-Group", group.string ?? "") }
            if let uid = who["uid"]?.string { headers.add("Impersonate-Uid", uid) }
            for member in who["extra"]?.members ?? [] {
                for value in member.value.elements {
                    headers.add("Impersonate-Extra-" + member.key, value.string ?? "")
                }
            }
        }
        if let type { headers.add("Content-Type", type) }
        for member in step["headers"]?.members ?? [] { headers.add(member.key, Self.shown(member.value)) }
        return Request(
            method, target, headers: headers, body: body, peer: auth == nil ? caller : PeerIdentity())
    }

    private func send(
        _ method: String, _ target: String, _ step: Document, body: [UInt8] = [], type: String? = nil
    ) async throws -> Reply {
        let response = await server.handler(request(method, target, step, body: body, type: type))
        let collector = TraceCollector()
        // What belongs to a HEAD's answer is cut off where it leaves the server.
        if method == "HEAD" { return Reply(status: response.status, headers: response.headers, bytes: []) }
        switch response.body {
        case .bytes(let bytes): return Reply(status: response.status, headers: response.headers, bytes: bytes)
        case .pieces(let pieces):
            return Reply(status: response.status, headers: response.headers, bytes: Array(pieces.joined()))
        case .stream(let produce): try await produce(collector)
        case .upgrade: break
        }
        return Reply(status: response.status, headers: response.headers, bytes: collector.bytes)
    }

    private func ask(_ step: Document, _ place: String) async throws {
        let words = (step["do"]?.string ?? "").split(separator: " ", maxSplits: 1).map(String.init)
        let (method, target) = (words[0], path(words[1]))
        var filled = step
        for key in ["as", "auth", "headers"] { if let value = step[key] { filled[key] = fill(value) } }
        var body: [UInt8]?
        if let raw = step["rawBody"]?.string {
            body = Array(fill(raw, Self.shown).utf8)
        } else if let big = step["bigBody"].map({ fill($0) }) {
            let middle = String(repeating: big["repeat"]?.string ?? "", count: big["times"]?.int ?? 0)
            body = Array(((big["before"]?.string ?? "") + middle + (big["after"]?.string ?? "")).utf8)
        } else if let given = step["body"] {
            let object = fill(given)
            normaliser.requested(object)
            body = object.json
        }
        let type = step["contentType"]?.string ?? (body == nil ? nil : "application/json")
        let until = step["until"]
        let end = world.clock.uptime + (until?["seconds"]?.double.map { .seconds($0) } ?? Self.patience)
        var reply: Reply
        while true {
            reply = try await send(method, target, filled, body: body ?? [], type: type)
            note(method, target, reply)
            if holds(until, reply) || world.clock.uptime > end { break }
            try await world.clock.sleep(for: .milliseconds(50))
        }
        for member in step["capture"]?.members ?? [] {
            let value = TracePath(member.value.string ?? "").value(in: reply.json)
            if value.means(TracePath.absent) {
                try check(step, reply, place)
                throw TraceMismatch(place: place, lines: ["nothing at \(member.value.jsonText)"])
            }
            values[member.key] = value
        }
        try check(step, reply, place)
    }

    private func holds(_ until: Document?, _ reply: Reply) -> Bool {
        guard let until, until.count > 0 else { return true }
        if let status = until["status"]?.int, status != reply.status { return false }
        guard let path = until["path"]?.string else { return true }
        let value = TracePath(fill(path, Self.shown)).value(in: reply.json)
        guard let wanted = until["is"] else { return !value.means(TracePath.absent) }
        return value.means(fill(wanted))
    }

    // MARK: Comparing

    private func check(_ step: Document, _ reply: Reply, _ place: String) throws(TraceMismatch) {
        try Self.compare(Self.expected(step), described(step, reply), place)
    }

    private static func expected(_ step: Document) throws(TraceMismatch) -> Document {
        let text = TraceText.replacing((step["expect"] ?? .emptyObject).jsonText, TraceText.fingerprint)
        do {
            var expected = try Document(json: text)
            for part in ["body", "events"] {
                if let value = expected[part] { expected[part] = TraceNormaliser.withoutColumnTexts(value) }
            }
            return expected
        } catch { throw TraceMismatch(place: "expect", lines: ["\(error)"]) }
    }

    private func described(_ step: Document, _ reply: Reply) -> Document {
        var result: Document = ["status": Document(reply.status)]
        if var body = reply.json, !reply.type.contains("protobuf") {
            normaliser.learn(body)
            let isList = body.isObject && (body["items"] != nil || body["rows"] != nil)
            if let select = step["select"] {
                if isList, body["kind"]?.string == "Table" { body = TraceNormaliser.table(body) }
                body = Document(
                    members: select.elements.map { path in
                        let text = path.string ?? ""
                        return (text, TracePath(fill(text, Self.shown)).value(in: body))
                    })
            }
            body = Self.dropping(
                normaliser.body(body, isList: isList), Set((step["drop"]?.elements ?? []).compactMap(\.string)))
            for path in step["ignore"]?.elements ?? [] { body = TracePath(path.string ?? "").removed(from: body) }
            for path in step["unordered"]?.elements ?? [] { body = Self.sorted(body, path.string ?? "") }
            body = TraceNormaliser.withoutColumnTexts(body)
            result["body"] = step["shape"]?.bool == true ? Self.shape(body) : body
        } else if !reply.bytes.isEmpty, step["shape"] == nil, step["select"] == nil {
            result["text"] = Document(normaliser.plain(reply.text))
        }
        let warnings = reply.warnings.map { Document(normaliser.plain($0)) }
        if !warnings.isEmpty { result["warnings"] = Document(warnings) }
        if reply.type != "application/json" { result["contentType"] = Document(reply.type) }
        let wanted = (step["compareHeaders"]?.elements ?? []).compactMap(\.string)
        if !wanted.isEmpty {
            result["headers"] = Document(
                members: wanted.map { ($0, reply.headers[$0].map { Document($0) } ?? TracePath.absent) })
        }
        return result
    }

    private static func dropping(_ value: Document, _ keys: Set<String>) -> Document {
        if keys.isEmpty { return value }
        if value.isArray { return Document(value.elements.map { dropping($0, keys) }) }
        guard value.isObject else { return value }
        return Document(
            members: value.members.filter { !(keys.contains($0.key) && $0.value.string != nil) }
                .map { ($0.key, dropping($0.value, keys)) })
    }

    private static func sorted(_ value: Document, _ path: String) -> Document {
        // Only paths of plain keys name lists without an order.
        func put(_ value: Document, _ keys: ArraySlice<Substring>) -> Document {
            guard let key = keys.first else {
                return value.isArray ? Document(value.elements.sorted { $0.jsonText < $1.jsonText }) : value
            }
            guard value.isObject, let inner = value[String(key)] else { return value }
            var value = value
            value[String(key)] = put(inner, keys.dropFirst())
            return value
        }
        return put(value, path.split(separator: ".")[...])
    }

    private static func shape(_ value: Document) -> Document {
        switch value.kind {
        case .object: Document(members: value.members.map { ($0.key, shape($0.value)) })
        case .array: Document(value.elements.prefix(1).map { shape($0) })
        case .bool: "<bool>"
        case .string: "<string>"
        case .int, .double: "<number>"
        case .null: .null
        }
    }

    static func compare(_ expected: Document, _ got: Document, _ place: String) throws(TraceMismatch) {
        var lines: [String] = []
        differences(expected, got, "", &lines)
        if !lines.isEmpty { throw TraceMismatch(place: place, lines: lines) }
    }

    private static func differences(_ expected: Document, _ got: Document, _ path: String, _ lines: inout [String]) {
        if expected.isObject, got.isObject {
            for key in Set(expected.members.map(\.key) + got.members.map(\.key)).sorted() {
                differences(
                    expected[key] ?? TracePath.absent, got[key] ?? TracePath.absent, "\(path).\(key)", &lines)
            }
        } else if expected.isArray, got.isArray {
            let (a, b) = (expected.elements, got.elements)
            for index in 0..<max(a.count, b.count) {
                differences(
                    index < a.count ? a[index] : TracePath.absent, index < b.count ? b[index] : TracePath.absent,
                    "\(path)[\(index)]", &lines)
            }
        } else if !expected.means(got) {
            lines.append("\(path.dropFirst()): \(expected.jsonText.prefix(300)) → \(got.jsonText.prefix(300))")
        }
    }

    // MARK: Watches

    private func watch(_ step: Document, _ place: String) async throws {
        var target = path(step["watch"]?.string ?? "")
        target += (target.contains("?") ? "&" : "?") + "watch=true"
        if !target.contains("timeoutSeconds=") { target += "&timeoutSeconds=30" }
        var filled = step
        for key in ["as", "auth"] { if let value = step[key] { filled[key] = fill(value) } }
        let response = await server.handler(request("GET", target, filled, body: [], type: nil))
        guard response.status == 200, case .stream(let produce) = response.body else {
            var bytes: [UInt8] = []
            if case .bytes(let given) = response.body { bytes = given }
            try await perform(step["steps"]?.elements ?? [], place + ".")
            if response.status == 200 {
                // Answered as a whole, as one object that is read is.
                let object = try Document(json: bytes)
                let got: Document = ["status": 200, "events": [normalised(object)]]
                return try Self.compare(Self.expected(step), got, place)
            }
            try check(step, Reply(status: response.status, headers: response.headers, bytes: bytes), place)
            return
        }
        let collector = TraceCollector()
        let wanted = step["expect"]?["events"]?.count ?? 0
        let untilClosed = step["untilClosed"]?.bool ?? false
        let clock = world.clock
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Who stops reading ends the stream with an error, which is no matter here.
                try? await produce(collector)
                collector.close()
            }
            try await perform(step["steps"]?.elements ?? [], place + ".")
            let end = clock.uptime + .seconds(12)
            while clock.uptime < end, !collector.isClosed {
                if !untilClosed, collector.events.count >= wanted { break }
                try await clock.sleep(for: .milliseconds(10))
            }
            group.cancelAll()
        }
        var events: [Document] = []
        for event in collector.events { events.append(normalised(event)) }
        if step["unordered"] != nil { events.sort { $0.jsonText < $1.jsonText } }
        let told = TraceNormaliser.withoutColumnTexts(Document(events))
        var got: Document = ["status": Document(response.status), "events": told]
        if untilClosed { got["closed"] = true }
        try Self.compare(Self.expected(step), got, place)
    }

    private func normalised(_ given: Document) -> Document {
        var event = given
        if event["type"]?.string == "BOOKMARK", var object = event["object"], var metadata = object["metadata"],
            metadata["resourceVersion"] != nil
        {
            metadata["resourceVersion"] = "<rv>"
            object["metadata"] = metadata
            event["object"] = object
        }
        normaliser.learn(event)
        return normaliser.body(event)
    }

    // MARK: Leaving nothing behind

    private func note(_ method: String, _ target: String, _ reply: Reply) {
        let halves = target.split(separator: "?", maxSplits: 1).map(String.init)
        guard reply.status == 201, !(halves.count > 1 && halves[1].contains("dryRun=")),
            let name = reply.json?["metadata"]?["name"]?.string
        else { return }
        var parts = halves[0].split(separator: "/").map(String.init)
        parts.removeFirst(min(parts.count, parts.first == "api" ? 2 : 3))
        if parts.first == "namespaces", parts.count > 2 { parts.removeFirst(2) }
        if method == "POST", parts.count == 1 { created.append("\(halves[0])/\(name)") }
        if method != "POST", parts.count == 2 { created.append(halves[0]) }
    }

    private func cleanUp(_ usesNamespace: Bool) async {
        for path in created.reversed() { try? await delete(path) }
        guard usesNamespace else { return }
        try? await delete("/api/v1/namespaces/\(namespace)/serviceaccounts/default")
        try? await delete("/api/v1/namespaces/\(namespace)")
    }

    private func delete(_ path: String) async throws {
        let reply = try await send("DELETE", path + "?gracePeriodSeconds=0&propagationPolicy=Background", [:])
        guard [200, 202].contains(reply.status), var left = reply.json, left["kind"]?.string != "Status" else { return }
        if path.hasPrefix("/api/v1/namespaces/"), path.split(separator: "/").count == 4 {
            var spec = left["spec"] ?? .emptyObject
            spec["finalizers"] = .emptyArray
            left["spec"] = spec
            _ = try await send("PUT", path + "/finalize", [:], body: left.json, type: "application/json")
        }
        if left["metadata"]?["finalizers"] != nil {
            let none: Document = ["metadata": ["finalizers": .null]]
            _ = try await send("PATCH", path, [:], body: none.json, type: "application/merge-patch+json")
        }
    }
}

/// Takes a stream's lines as they come.
final class TraceCollector: BodyWriter {
    private struct State {
        var bytes: [UInt8] = []
        var line: [UInt8] = []
        var events: [Document] = []
        var isClosed = false
    }

    private let state = Mutex(State())

    var bytes: [UInt8] { state.withLock { $0.bytes } }
    var events: [Document] { state.withLock { $0.events } }
    var isClosed: Bool { state.withLock { $0.isClosed } }

    func close() { state.withLock { $0.isClosed = true } }

    func write(_ piece: [UInt8]) async throws {
        state.withLock { state in
            state.bytes += piece
            for byte in piece {
                guard byte == 10 else {
                    state.line.append(byte)
                    continue
                }
                let line = state.line
                state.line = []
                guard let event = try? Document(json: line) else { continue }
                // Plain bookmarks come when they like.
                let isPlain =
                    event["type"]?.string == "BOOKMARK" && !event.jsonText.contains("k8s.io/initial-events-end")
                if !isPlain { state.events.append(event) }
            }
        }
    }
}
