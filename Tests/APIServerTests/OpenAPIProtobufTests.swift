import Document
import Testing
import Wire

@testable import APIServer

/// The protobuf form of OpenAPI v2, read back by what the published message says: numbers, lengths, bytes.
@Suite struct OpenAPIProtobufTests {
    /// The fields with this number, of those that have a length.
    private func fields(_ number: UInt64, of message: ArraySlice<UInt8>) throws -> [ArraySlice<UInt8>] {
        var rest = message
        var found: [ArraySlice<UInt8>] = []
        func varint() throws -> UInt64 {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: 7) {
                let next = rest.popFirst()
                let byte = try #require(next)
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { break }
            }
            return value
        }
        while !rest.isEmpty {
            let key = try varint()
            switch key & 7 {
            case 0: _ = try varint()
            case 1: rest = rest.dropFirst(8)
            default:
                let length = Int(try varint())
                try #require(key & 7 == 2 && length <= rest.count)
                if key >> 3 == number { found.append(rest.prefix(length)) }
                rest = rest.dropFirst(length)
            }
        }
        return found
    }

    private func text(_ bytes: ArraySlice<UInt8>?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    /// The value with this name among the pairs in field 1.
    private func value(_ name: String, in map: ArraySlice<UInt8>) throws -> ArraySlice<UInt8>? {
        try fields(1, of: map).first { try text(fields(1, of: $0).first) == name }
            .flatMap { try fields(2, of: $0).first }
    }

    @Test func everyDefinitionIsThereWithItsFieldsAndExtensions() async throws {
        let harness = try await Harness()
        let reply = try await harness.send(
            "GET", "/openapi/v2",
            headers: [("Accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")])
        #expect(reply.status == 200)
        #expect(reply.headers["Content-Type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
        let document = reply.bytes[...]
        #expect(try text(fields(1, of: document).first) == "2.0")

        let json = try await harness.send("GET", "/openapi/v2").body
        let definitions = try #require(try fields(9, of: document).first)
        #expect(try fields(1, of: definitions).count == json["definitions"]?.members.count)
        let paths = try #require(try fields(8, of: document).first)
        #expect(try fields(2, of: paths).count == json["paths"]?.members.count)

        let pod = try #require(try value("io.k8s.api.core.v1.PodSpec", in: definitions))
        #expect(try fields(19, of: pod).map(text) == ["containers"])
        let properties = try #require(try fields(25, of: pod).first)
        let containers = try #require(try value("containers", in: properties))
        #expect(try fields(22, of: containers).first.map(Array.init) == [0x0A, 5] + Array("array".utf8))
        let item = try #require(try fields(23, of: containers).first.flatMap { try fields(1, of: $0).first })
        #expect(try text(fields(1, of: item).first) == "#/definitions/io.k8s.api.core.v1.Container")
        let extensions = try fields(31, of: containers).map { pair in
            let any = try fields(2, of: pair).first
            return [try text(fields(1, of: pair).first), try any.flatMap { text(try fields(2, of: $0).first) }]
        }
        #expect(extensions.contains(["x-kubernetes-patch-merge-key", "\"name\""]))
    }

    @Test func theBytesAreThoseOfTheMessage() {
        let document: Document = [
            "swagger": "2.0", "security": [["B": []]],
            "definitions": ["D": ["maximum": 1.5, "additionalProperties": true, "x-a": [1]]],
            "parameters": ["p": ["in": "query", "name": "p", "uniqueItems": true]],
        ]
        let expected: [UInt8] =
            [0x0A, 3] + Array("2.0".utf8)
            // security, one requirement, one pair: a name and an empty list.
            + [0x62, 7, 0x0A, 5, 0x0A, 1] + Array("B".utf8) + [0x12, 0]
            // definitions, one pair, its schema: a double, a choice's second arm, an extension as YAML.
            + [0x4A, 36, 0x0A, 34, 0x0A, 1] + Array("D".utf8) + [0x12, 29]
            + [0x39, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F] + [0xAA, 1, 2, 0x10, 1]
            + [0xFA, 1, 12, 0x0A, 3] + Array("x-a".utf8) + [0x12, 5, 0x12, 3] + Array("[1]".utf8)
            // parameters, one pair: not a body, in the query.
            + [0x52, 24, 0x0A, 22, 0x0A, 1] + Array("p".utf8) + [0x12, 17, 0x12, 15, 0x1A, 13]
            + [0x12, 5] + Array("query".utf8) + [0x22, 1] + Array("p".utf8) + [0xA0, 1, 1]
        #expect(OpenAPIProtobuf.encode(document) == expected)
    }

    @Test func otherFormsAreRefused() async throws {
        let harness = try await Harness()
        let reply = try await harness.send("GET", "/openapi/v2", headers: [("Accept", "text/html")])
        #expect(reply.status == 406)
        let either = try await harness.send(
            "GET", "/openapi/v2", headers: [("Accept", "text/html, application/json;q=0.5")])
        #expect(either.headers["Content-Type"] == "application/json")
    }
}
