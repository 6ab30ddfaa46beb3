import Basics
import Document
import Glibc
import Kinds
import Schema
import Testing
import Wire

@testable import APIServer

/// Published objects of every kind, the same one as JSON, YAML and protobuf, in the folder that LAB_VECTORS names.
private enum RoundTrip {
    static let folder: String? = getenv("LAB_VECTORS").map { String(cString: $0) + "/roundtrip" }

    static func bytes(_ name: String) throws -> [UInt8] {
        let path = "\(folder ?? "")/\(name)"
        guard let file = fopen(path, "r") else {
            throw DocumentError(message: "cannot open \(path)", line: 0, column: 0)
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    /// The kinds' names, such as `apps.v1.Deployment`.
    static var names: [String] {
        guard let folder, let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".pb") { names.append(String(name.dropLast(3))) }
        }
        return names.sorted()
    }

    static func type(of object: Document) -> TypeInfo? {
        let apiVersion = object.text("apiVersion") ?? ""
        let parts = apiVersion.split(separator: "/").map(String.init)
        let group = parts.count == 2 ? parts[0] : ""
        let version = parts.last ?? ""
        let kind = object.text("kind") ?? ""
        return
            (Kinds.registry.type(group: group, version: version, name: kind)
            ?? Kinds.registry.type(group: "meta", version: version, name: kind))?.info
    }
}

@Suite struct ProtobufTests {
    @Test(.enabled(if: RoundTrip.folder != nil, "LAB_VECTORS names no folder"))
    func everyPublishedObjectSurvives() throws {
        var problems: [String] = []
        for name in RoundTrip.names {
            let json = try RoundTrip.bytes("\(name).json")
            let object = try Document(json: json)
            // An event has neither kind nor version.
            let named: Document = object["kind"] == nil ? ["apiVersion": "v1", "kind": "WatchEvent"] : object
            guard let type = RoundTrip.type(of: named) else {
                problems.append("\(name): not declared")
                continue
            }
            if try Document.yamlDocuments(try RoundTrip.bytes("\(name).yaml")).first?.means(object) != true {
                problems.append("\(name): the YAML form is read as something else")
            }
            if try Document.yamlDocuments(object.yaml).first?.means(object) != true {
                problems.append("\(name): our YAML form is read as something else")
            }
            do {
                let published = try RoundTrip.bytes("\(name).pb")
                let envelope = try ProtobufDecoder.envelope(published)
                #expect(envelope.kind == (object.text("kind") ?? ""))
                let decoded = try ProtobufDecoder.object(envelope.message, type: type)
                var bare = object
                bare["kind"] = .none
                bare["apiVersion"] = .none
                if !decoded.means(bare) {
                    problems.append("\(name): read as \(decoded.jsonText), not \(bare.jsonText)")
                }
                let encoded = try ProtobufEncoder.body(
                    object, apiVersion: envelope.apiVersion, kind: envelope.kind, type: type)
                if encoded != published { problems.append("\(name): written differently") }
            } catch { problems.append("\(name): \(error)") }
        }
        #expect(problems == [])
    }

    private static let accept = [("Accept", "application/vnd.kubernetes.protobuf")]

    private static func pod(_ name: String) -> Document {
        [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": Document(name), "labels": ["a": "b"]],
            "spec": [
                "containers": [
                    [
                        "name": "c", "image": "i", "resources": ["limits": ["cpu": "100m", "memory": "1Gi"]],
                        "livenessProbe": ["httpGet": ["port": "http", "path": "/"]],
                    ]
                ],
                "volumes": [["name": "v", "configMap": ["name": "m", "optional": true]]],
            ],
        ]
    }

    private static func harness() async throws -> Harness {
        let harness = try await Harness()
        try await harness.create(
            "/api/v1/namespaces/default/serviceaccounts",
            ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "default"]])
        return harness
    }

    private func decoded(_ reply: Harness.Reply, _ kind: String) throws -> Document {
        let envelope = try ProtobufDecoder.envelope(reply.bytes)
        #expect(envelope.kind == kind)
        let type = try #require(
            RoundTrip.type(of: ["apiVersion": Document(envelope.apiVersion), "kind": Document(kind)]))
        return try ProtobufDecoder.object(envelope.message, type: type)
    }

    @Test func anObjectIsTheSameInBothForms() async throws {
        let harness = try await Self.harness()
        let path = "/api/v1/namespaces/default/pods"
        let type = try #require(RoundTrip.type(of: ["apiVersion": "v1", "kind": "Pod"]))
        let body = try ProtobufEncoder.body(Self.pod("a"), apiVersion: "v1", kind: "Pod", type: type)
        let created = try await harness.send(
            "POST", path, type: "application/vnd.kubernetes.protobuf", headers: Self.accept, bytes: body)
        #expect(created.status == 201)
        #expect(created.headers["Content-Type"] == "application/vnd.kubernetes.protobuf")
        var plain = try await harness.send("GET", "\(path)/a").body
        let other = try await harness.send("GET", "\(path)/a", headers: Self.accept)
        plain["kind"] = .none
        plain["apiVersion"] = .none
        #expect(try decoded(other, "Pod").means(plain))
        #expect(try decoded(created, "Pod").means(plain))
    }

    @Test func listsErrorsAndMetadataHaveTheForm() async throws {
        let harness = try await Self.harness()
        let path = "/api/v1/namespaces/default/pods"
        for name in ["a", "b"] { try await harness.create(path, Self.pod(name)) }
        let list = try decoded(try await harness.send("GET", path, headers: Self.accept), "PodList")
        #expect(list.list("items").map { $0.text("metadata", "name") } == ["a", "b"])
        #expect(list.text("metadata", "resourceVersion") != nil)
        let missing = try await harness.send("GET", "\(path)/c", headers: Self.accept)
        #expect(missing.status == 404)
        #expect(try decoded(missing, "Status").text("reason") == "NotFound")
        let partial = try await harness.send(
            "GET", path,
            headers: [
                ("Accept", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
            ])
        #expect(try decoded(partial, "PartialObjectMetadataList").list("items").count == 2)
        // Tables have no such form: the next choice is taken, or there is none.
        let table = "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1"
        #expect(try await harness.send("GET", path, headers: [("Accept", table)]).status == 406)
        let either = try await harness.send("GET", path, headers: [("Accept", "\(table),application/json")])
        #expect(either.body.text("kind") == "PodList")
    }

    @Test func aSecondListShowsWhatHasChangedSinceTheFirst() async throws {
        let harness = try await Harness()
        let path = "/api/v1/namespaces/default/configmaps"
        for name in ["a", "b", "c"] {
            try await harness.create(
                path, ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": Document(name)]])
        }
        func list() async throws -> [String] {
            try decoded(try await harness.send("GET", path, headers: Self.accept), "ConfigMapList").list("items")
                .map { "\($0.text("metadata", "name") ?? "") \($0.text("data", "turn") ?? "-")" }
        }
        #expect(try await list() == ["a -", "b -", "c -"])
        for turn in 0..<20 {
            let patched = try await harness.send(
                "PATCH", "\(path)/b", ["data": ["turn": Document("\(turn)")]], type: "application/merge-patch+json")
            #expect(patched.status == 200)
            #expect(try await list() == ["a -", "b \(turn)", "c -"])
        }
        #expect(try await harness.send("DELETE", "\(path)/a").status == 200)
        #expect(try await list() == ["b 19", "c -"])
    }

    @Test func longAnswersAreCompressedForThoseWhoAsk() async throws {
        let harness = try await Harness()
        let text = String(repeating: "text that repeats itself ", count: 8_000)
        let path = "/api/v1/namespaces/default/configmaps"
        try await harness.create(
            path,
            [
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "long"],
                "data": ["text": Document(text)],
            ])
        let plain = try await harness.send("GET", "\(path)/long")
        #expect(plain.headers["Content-Encoding"] == nil)
        let packed = try await harness.send("GET", "\(path)/long", headers: [("Accept-Encoding", "deflate, gzip")])
        #expect(packed.headers["Content-Encoding"] == "gzip")
        #expect(packed.bytes.count < plain.bytes.count / 10)
        #expect(Gzip.decompress(packed.bytes, limit: 1 << 20) == plain.bytes)
        #expect(Gzip.decompress(packed.bytes, limit: 1 << 10) == nil)
        let short = try await harness.send(
            "GET", "/api/v1/namespaces/default", headers: [("Accept-Encoding", "gzip")])
        #expect(short.headers["Content-Encoding"] == nil)
        #expect(!Compression.accepts("gzip;q=0"))
        #expect(!Compression.accepts("br"))
        #expect(!Compression.accepts(nil))
    }
}
