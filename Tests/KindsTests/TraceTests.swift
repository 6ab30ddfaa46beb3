import Basics
import Document
import Glibc
import Kinds
import Schema
import Testing

/// Recorded requests and answers of a Kubernetes server lie in the folder that LAB_TRACES names.
enum Traces {
    static let folder: String? = getenv("LAB_TRACES").map { String(cString: $0) }

    static func files(_ group: String) -> [String] {
        guard let folder, let directory = opendir(folder + "/" + group) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".json") { names.append(group + "/" + name) }
        }
        return names.sorted()
    }

    static func document(_ file: String) throws -> Document {
        guard let stream = fopen((folder ?? "") + "/" + file, "r") else { return .null }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, stream)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        var text = String(decoding: bytes, as: UTF8.self)
        for (placeholder, value) in [("{run}", "run"), ("{ns}", "ns")] {
            text = text.replacingAll(placeholder, by: value)
        }
        return try Document(json: text)
    }

    /// The resource that a path creates objects of; nil for subresources and for what is not declared.
    static func resource(_ path: Substring) -> ResourceInfo? {
        var parts = path.split(separator: "?")[0].split(separator: "/").map(String.init)
        guard let first = parts.first else { return nil }
        let group = first == "api" ? "" : parts.dropFirst().first ?? ""
        parts.removeFirst(first == "api" ? 1 : 2)
        guard let version = parts.first else { return nil }
        parts.removeFirst()
        if parts.count == 3, parts[0] == "namespaces" { parts.removeFirst(2) }
        guard parts.count == 1 else { return nil }
        return Kinds.registry.resource(group: group, version: version, plural: parts[0])
    }
}

@Suite(.enabled(if: Traces.folder != nil, "LAB_TRACES names no folder"))
struct TraceTests {
    struct Outcome {
        var checked = 0
        var differences: [String] = []
    }

    /// What a real server said about every recorded object that was to be created.
    @Test func objectsAreJudgedAsRecorded() throws {
        var outcome = Outcome()
        for group in [
            "pods", "core", "apps", "batch", "autoscaling", "policy", "services", "rbac", "coordination", "discovery",
            "events",
        ] {
            for file in Traces.files(group) { try judge(file, &outcome) }
        }
        if getenv("LAB_VERBOSE") != nil { for difference in outcome.differences { print("DIFF", difference) } }
        let share = Double(outcome.checked - outcome.differences.count) / Double(max(outcome.checked, 1))
        print("recorded creations judged alike: \(outcome.checked - outcome.differences.count) of \(outcome.checked)")
        #expect(outcome.checked > 300)
        #expect(share > 0.9)
    }

    /// Fields that the server itself decides, by admission or allocation.
    private static let foreign: Set = [
        "tolerations", "serviceAccount", "serviceAccountName", "priority", "preemptionPolicy", "clusterIP",
        "clusterIPs",
        "ipFamilies", "ipFamilyPolicy", "nodePort", "healthCheckNodePort", "taints", "dataSource", "dataSourceRef",
    ]

    /// The complete form of every recorded object that was created.
    @Test func objectsAreCompletedAsRecorded() throws {
        var outcome = Outcome()
        for group in [
            "pods", "core", "apps", "batch", "autoscaling", "policy", "services", "rbac", "coordination", "discovery",
            "events", "patch",
        ] {
            for file in Traces.files(group) {
                for step in try Traces.document(file).list("steps") { try complete(step, file, &outcome) }
            }
        }
        if getenv("LAB_VERBOSE") != nil { for difference in outcome.differences { print("FORM", difference) } }
        print(
            "recorded creations completed alike: \(outcome.checked - outcome.differences.count) of \(outcome.checked)")
        #expect(outcome.checked > 200)
        #expect(Double(outcome.differences.count) < 0.1 * Double(outcome.checked))
    }

    private func complete(_ step: Document, _ file: String, _ outcome: inout Outcome) throws {
        let request = step.text("do") ?? ""
        guard request.hasPrefix("POST /"), let body = step["body"], body.isObject,
            let resource = Traces.resource(request.dropFirst(5)), step.number("expect", "status") == 201,
            let recorded = step.at("expect", "body")
        else { return }
        var object = body
        if resource.namespaced { object.set("ns", at: "metadata", "namespace") }
        Kinds.registry.prune(&object, type: resource.type)
        Kinds.applyDefaults(to: &object, resource: resource)
        Kinds.rules(for: resource).prepareForCreate(&object, RuleContext(now: Timestamp(seconds: 0)))
        for member in recorded.members {
            let path = member.key.split(separator: ".").map(String.init)
            guard let first = path.first, !["metadata", "status"].contains(first), member.value.isObject,
                !member.key.contains("["), path.allSatisfy({ !Self.foreign.contains($0) })
            else { continue }
            outcome.checked += 1
            let ours = Self.own(object.at(path: path) ?? .null)
            let theirs = Self.own(member.value)
            if ours != theirs {
                outcome.differences.append(
                    "\(file) \(member.key)\n   recorded \(theirs.jsonText)\n   ours     \(ours.jsonText)")
            }
        }
    }

    /// Strategic merge patches, applied one after another to what a trace created.
    @Test func patchesDoWhatIsRecorded() throws {
        var outcome = Outcome()
        for group in ["patch", "core", "apps"] {
            for file in Traces.files(group) where file.contains("strategic") {
                var objects: [String: Document] = [:]
                for step in try Traces.document(file).list("steps") { try patch(step, file, &objects, &outcome) }
            }
        }
        if getenv("LAB_VERBOSE") != nil { for difference in outcome.differences { print("PATCH", difference) } }
        print("recorded patches applied alike: \(outcome.checked - outcome.differences.count) of \(outcome.checked)")
        #expect(outcome.checked > 20)
        #expect(Double(outcome.differences.count) < 0.1 * Double(outcome.checked))
    }

    private func patch(_ step: Document, _ file: String, _ objects: inout [String: Document], _ outcome: inout Outcome)
        throws
    {
        guard let request = step.text("do"), let body = step["body"], body.isObject,
            let status = step.number("expect", "status"), let space = request.firstIndex(of: " ")
        else { return }
        let path = String(request[request.index(after: space)...])
        if request.hasPrefix("POST "), status == 201, let resource = Traces.resource(path[...]) {
            var object = body
            Kinds.applyDefaults(to: &object, resource: resource)
            objects[path + "/" + (body.text("metadata", "name") ?? "")] = object
        }
        guard request.hasPrefix("PATCH "), status == 200, let old = objects[path],
            step.text("contentType") == "application/strategic-merge-patch+json",
            let resource = Traces.resource(path.prefix(upTo: path.lastIndex(of: "/") ?? path.endIndex))
        else { return }
        var object = try Kinds.registry.strategicMerge(body, into: old, type: resource.type)
        Kinds.applyDefaults(to: &object, resource: resource)
        objects[path] = object
        for member in step.at("expect", "body")?.members ?? []
        where member.key.hasPrefix("spec") || member.key == "data" {
            if member.key.contains("[") || !member.value.isObject { continue }
            outcome.checked += 1
            let ours = Self.own(object.at(path: member.key.split(separator: ".").map(String.init)) ?? .null)
            let theirs = Self.own(member.value)
            if ours != theirs {
                outcome.differences.append(
                    "\(file) \(member.key)\n   recorded \(theirs.jsonText)\n   ours     \(ours.jsonText)")
            }
        }
    }

    /// Sorted, without what the server adds by itself.
    private static func own(_ value: Document) -> Document {
        if value.isArray { return Document(value.elements.map(own)) }
        guard value.isObject else { return value }
        // A service account's token comes as a volume, mounted into every container.
        func isToken(_ element: Document) -> Bool {
            element.text("name")?.hasPrefix("kube-api-access") == true
                || element.text("mountPath") == "/var/run/secrets/kubernetes.io/serviceaccount"
        }
        var value = value
        for field in ["volumes", "volumeMounts"] where value.list(field).contains(where: isToken) {
            let rest = value.list(field).filter { !isToken($0) }
            value[field] = rest.isEmpty ? Optional<Document>.none : Document(rest)
        }
        let kept = value.members.filter { !foreign.contains($0.key) }.sorted { $0.key < $1.key }
        return Document(members: kept.map { ($0.key, own($0.value)) })
    }

    private func judge(_ file: String, _ outcome: inout Outcome) throws {
        for step in try Traces.document(file).list("steps") {
            let request = step.text("do") ?? ""
            guard request.hasPrefix("POST /"), let body = step["body"], body.isObject,
                let resource = Traces.resource(request.dropFirst(5)),
                // Made-up names and query parameters are the server's concern.
                body.at("metadata", "generateName") == nil, !request.contains("dryRun=Some"),
                !request.contains("fieldValidation=Foo"),
                let status = step.number("expect", "status"), [201, 422].contains(status) || isDecoding(step)
            else { continue }
            outcome.checked += 1
            let recorded = answers(step)
            let ours = answers(to: body, resource)
            if recorded.sorted() != ours.sorted() {
                outcome.differences.append("\(file) \(status)\n   recorded \(recorded)\n   ours     \(ours)")
            }
        }
    }

    private func isDecoding(_ step: Document) -> Bool {
        step.number("expect", "status") == 400
            && step.text("expect", "body", "message")?.contains("json: cannot") == true
    }

    private func answers(_ step: Document) -> [String] {
        if isDecoding(step) {
            let message = step.text("expect", "body", "message") ?? ""
            guard let range = message.utf8Range(of: "json: cannot") else { return [message] }
            return [String(message[range...])]
        }
        let causes =
            step.at("expect", "body", "details")?.list("causes")
            ?? step.at("expect", "body", "details.causes")?.elements
        return (causes ?? []).map { "\($0.text("field") ?? ""): \($0.text("message") ?? "")" }
    }

    private func answers(to body: Document, _ resource: ResourceInfo) -> [String] {
        if let error = Kinds.registry.decodingError(in: body, type: resource.type) { return [error] }
        var object = body
        if resource.namespaced { object.set("ns", at: "metadata", "namespace") }
        Kinds.applyDefaults(to: &object, resource: resource)
        Kinds.rules(for: resource).prepareForCreate(&object, RuleContext(now: Timestamp(seconds: 0)))
        return Kinds.validateCreate(object, resource: resource).map { "\($0.path): \($0.message)" }
    }
}

extension String {
    fileprivate func replacingAll(_ old: String, by new: String) -> String {
        var result: [UInt8] = []
        let (bytes, pattern) = (Array(utf8), Array(old.utf8))
        var index = 0
        while index < bytes.count {
            if bytes[index] == pattern[0], bytes[index...].starts(with: pattern) {
                result += new.utf8
                index += pattern.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    fileprivate func utf8Range(of text: String) -> String.Index? {
        indices.first { self[$0...].hasPrefix(text) }
    }
}
