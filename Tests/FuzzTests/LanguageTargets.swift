import Basics
import Document
import Kinds

@testable import APIServer
@testable import Schema

private func text(_ input: [UInt8]) -> String { String(decoding: input, as: UTF8.self) }

/// The protobuf form cannot tell null from absent.
private func withoutNulls(_ document: Document) -> Document {
    switch document.kind {
    case .object:
        Document(members: document.members.filter { !$0.value.isNull }.map { ($0.key, withoutNulls($0.value)) })
    case .array: Document(document.elements.map(withoutNulls))
    default: document
    }
}

extension ReaderTests {
    static let selectors = [
        FuzzTarget(
            "labels",
            corpus: [
                "app=web,tier!=cache", "a in (b, c),d notin (e)", "x,!y", "n>1,m<2", "a==b", "a.b/c in ()", "a=", ",",
                "",
            ],
            words: [
                "a", "a.b/c", "=", "==", "!=", "!", " in ", " notin ", "(", ")", ",", "<", ">", "1", "-1", " ", "\t",
                "in",
                "notin", "é", "_", "-", ".", "/", "\u{0}", "a\u{301}", "99999999999999999999",
            ]
        ) { input in
            guard let selector = try? LabelSelector(parsing: text(input)) else { return false }
            _ = selector.matches(["a": "1", "a.b/c": ""])
            guard let again = try? LabelSelector(parsing: selector.description) else {
                throw Broken("written as '\(selector)', which is refused")
            }
            guard again.description == selector.description else { throw Broken("'\(selector)' reads as '\(again)'") }
            return true
        },
        FuzzTarget(
            "fields",
            corpus: ["metadata.name=a,status.phase!=Running", "\u{301}c\\", "a==b\\,c", "a=b\\=c\\\\", "a", ",", ""],
            words: [
                "metadata.name", "=", "==", "!=", ",", "\\", "\\,", "\\=", "\\\\", "a", "!", "\u{301}", "é", " ",
                "\u{0}",
            ]
        ) { input in
            let value = text(input)
            // Any value can stand in a selector.
            let selector = try FieldSelector(parsing: "a=\(FieldSelector.escaped(value)),b!=c")
            guard selector.terms.count == 2, Array(selector.terms[0].value.utf8) == Array(value.utf8) else {
                throw Broken("the value reads as \(selector.terms)")
            }
            return (try? FieldSelector(parsing: value)) != nil
        },
        FuzzTarget(
            "quantity",
            corpus: [
                "1", "100m", "1.5Gi", "-2e3", "0.001n", "1E", "12E6", "+.5Ki", "9223372036854775807", "1e-9", "5.", "0",
            ],
            words: [
                "1", "0", "9", ".", "-", "+", "e", "E", "m", "n", "u", "k", "M", "G", "T", "P", "Ki", "Mi", "Ei", "i",
                "99999999999999999999", "e-18", "E99", " ", "0000",
            ]
        ) { input in
            guard let quantity = Quantity(text(input)) else { return false }
            let written = quantity.description
            guard let again = Quantity(written) else { throw Broken("written as \(written), which is refused") }
            guard again.description == written else { throw Broken("written as \(written), then as \(again)") }
            guard again == quantity else { throw Broken("written as \(written), which is another value") }
            _ = quantity + quantity - quantity
            return true
        },
        FuzzTarget(
            "times",
            corpus: [
                "2024-02-29T12:30:00Z", "2024-01-01T00:00:00.123456789+05:30", "0001-01-01T00:00:00Z",
                "9999-12-31T23:59:59Z", "0000-01-01T00:00:00+23:59",
            ],
            words: [
                "2024-", "02-", "29", "T", "Z", "+", "-", ":", "60", "0000", "9999", ".", "999999999", "24", " ", "t",
            ]
        ) { input in
            let text = text(input)
            _ = TimeText.failure(text, micro: false)
            _ = TimeText.failure(text, micro: true)
            guard let time = Timestamp(rfc3339: text) else { return false }
            guard let again = Timestamp(rfc3339: time.rfc3339(fractionDigits: 9)), again == time else {
                throw Broken("written as \(time.rfc3339(fractionDigits: 9))")
            }
            return true
        },
        FuzzTarget(
            "addresses",
            corpus: [
                "10.0.0.1", "::1", "fd00::10:0/112", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "10.0.0.0/8", "0.0.0.0/0",
            ],
            words: ["1", "255", "256", "0", ".", ":", "::", "f", "/", "32", "128", "-1", "+1", "%eth0", " ", "01"]
        ) { input in
            let text = text(input)
            if let range = CIDR(text) {
                guard CIDR(range.description) == range else { throw Broken("written as \(range)") }
            }
            guard let address = IPAddress(text) else { return false }
            guard IPAddress(address.description) == address else { throw Broken("written as \(address)") }
            return true
        },
        FuzzTarget(
            "targets",
            corpus: [
                "/api/v1/namespaces/a/pods/b/log?container=c&follow=true",
                "/apis/apps/v1/deployments?labelSelector=a%3Db",
                "/api/v1/nodes/n/proxy/stats/summary?x=%zz", "/", "?", "//", "/apis",
            ],
            words: [
                "/", "api", "apis", "v1", "namespaces", "pods", "proxy", "?", "&", "=", "%", "%2F", "%00", "%e", "+",
                "%25",
                "watch", "true", "..", "é", "labelSelector=",
            ]
        ) { input in
            for method in ["GET", "DELETE", "PATCH"] {
                let info = RequestInfo(method: method, target: text(input))
                guard info.verb != "" else { throw Broken("no verb") }
            }
            _ = try? MediaType.negotiate(text(input))
            return true
        },
    ]

    static let protobuf = [
        FuzzTarget("protobuf", bytes: protobufCorpus, words: protobufWords) { input in
            guard let types = protobufTypes.first?.1 else { throw Broken("the kinds are not there") }
            var taken = false
            let envelope = try? ProtobufDecoder.envelope(input)
            for (_, type) in [("", types)] + protobufTypes.dropFirst() {
                guard let object = try? ProtobufDecoder.object(envelope?.message ?? input[...], type: type) else {
                    continue
                }
                taken = true
                guard try Document(json: object.json) == object else {
                    throw Broken("\(object.jsonText) reads otherwise")
                }
                guard let message = try? ProtobufEncoder.message(object, type: type) else { continue }
                let again = try ProtobufDecoder.object(message[...], type: type)
                guard withoutNulls(again).means(withoutNulls(object)) else {
                    throw Broken("\(object.jsonText)\nis written so that it reads\n\(again.jsonText)")
                }
            }
            return taken
        }
    ]

    private static let protobufTypes: [(String, TypeInfo)] = [
        ("", "v1", "Pod"), ("apps", "v1", "Deployment"), ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
        ("meta", "v1", "DeleteOptions"),
    ].compactMap { group, version, kind in
        Kinds.registry.type(group: group, version: version, name: kind).map { (kind, $0.info) }
    }

    private static let protobufCorpus: [[UInt8]] = {
        let pod: Document = [
            "metadata": [
                "name": "a", "labels": ["x": "y"], "creationTimestamp": "2024-01-01T00:00:00Z",
                "managedFields": [["manager": "m", "fieldsV1": ["f:spec": [:]]]],
            ],
            "spec": [
                "containers": [
                    [
                        "name": "c", "image": "i", "ports": [["containerPort": 80]],
                        "resources": ["limits": ["cpu": "100m", "memory": "1Gi"]],
                        "livenessProbe": ["httpGet": ["port": "http"]],
                    ]
                ], "terminationGracePeriodSeconds": 30, "hostNetwork": true,
            ],
        ]
        let custom: Document = [
            "spec": [
                "group": "g",
                "versions": [
                    [
                        "name": "v1",
                        "schema": [
                            "openAPIV3Schema": ["type": "object", "properties": ["a": ["items": ["default": [1]]]]]
                        ],
                    ]
                ],
            ]
        ]
        let objects = [("Pod", pod), ("CustomResourceDefinition", custom), ("Deployment", ["spec": ["replicas": 3]])]
        return objects.compactMap { kind, object in
            protobufTypes.first { $0.0 == kind }.flatMap { try? ProtobufEncoder.message(object, type: $0.1) }
        } + [Array("k8s\0".utf8) + [10, 9, 10, 2, 118, 49, 18, 3, 80, 111, 100, 18, 2, 10, 0]]
    }()

    private static let protobufWords: [[UInt8]] = [
        [0x0A], [0x12], [0x1A], [0x22], [0x08], [0x10], [0x09], [0x0D], [0x0B], [0x0C], [0], [1], [2], [127], [0x80],
        [0xFF],
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], [0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
        [0x0A, 0x02, 0x0A, 0x00],
        [0x12, 0x80, 0x01], Array("k8s\0".utf8), Array("name".utf8), [0xC3, 0x28],
    ]

    static let languages = [
        FuzzTarget(
            "fieldsets",
            corpus: [
                "{\"f:spec\":{\"f:replicas\":{},\"f:ports\":{\"k:{\\\"port\\\":80}\":{\".\":{},\"f:name\":{}}}}}",
                "{\"f:finalizers\":{\".\":{},\"v:\\\"a\\\"\":{}},\"i:3\":{}}", "{}",
            ],
            words: [
                "\"f:a\":{}", "\".\":{}", "\"k:{}\":{}", "\"v:1\":{}", "\"v:\\\"x\\\"\":{}", "\"i:-1\":{}", "{", "}",
                ",",
                "\"f:\":", "\"i:99999999999999999999\":{}", "\"x\":{}", "\"f:b\":{\"f:c\":{}}", "{\"f:a\":",
                "\"k:{\\\"a\\\":1}\":{}",
            ]
        ) { input in
            guard let document = try? Document(json: input), let set = FieldSet(document) else { return false }
            var written: [UInt8] = []
            set.write(to: &written)
            guard let again = FieldSet(try Document(json: written)), again == set else {
                throw Broken("is written as \(Fuzzer.shown(written))")
            }
            return true
        },
        FuzzTarget(
            "cel",
            corpus: [
                "self.replicas <= self.max && self.items.all(x, x.startsWith('a'))", "has(self.a) ? self.a + 1 : 0",
                "[1, 2, 3].map(x, x * 2).filter(y, y > 2).exists_one(z, z == 4)", "'abc'.matches('^a(b|c)*[d-z]?$')",
                "duration('1h') + timestamp('2024-01-01T00:00:00Z') > timestamp('2023-01-01T00:00:00Z')",
                "{'a': 1, 'b': [b'x', 2u, 1.5]}['a'] in [1, -9223372036854775808]", "'%s %d'.format(['a', 1])",
                "quantity('1Gi').isGreaterThan(quantity('5M'))", "ip('10.0.0.1').family() == 4",
                "cel.bind(x, 5, x * x)",
                "self.?a.orValue(3)", "url('http://a/b?c').getHost()", "r'\\d' + \"\"\"x\"\"\"", "-5 % 3 / 0",
            ],
            words: [
                "self", ".", "a", "(", ")", "[", "]", "{", "}", "?", ":", "&&", "||", "!", "-", "+", "*", "/", "%",
                "==", "<", "in",
                "1", "0", "9223372036854775807", "-9223372036854775808", "18446744073709551615u", "1e308", "0x7f",
                "'a'", "b'\\x00'",
                "r'", "\"\"\"", "\\u00e9", ".map(x, ", ".all(x, x)", ".filter(x, ", ".exists(x, ", "has(", "size(",
                "string(", "int(",
                "double(", "uint(", "dyn(", "type(", ".matches('", "(a*)*", "[^", "{1,1000}", "\\\\p{L}", "(?i)",
                "timestamp('",
                "duration('", "9999-12-31T23:59:59Z')", "2562047h')", ".format([", "%s", "%.999f", ".replace('', 'a')",
                ".split('')",
                ".join('')", ".substring(1, 0)", ".charAt(-1)", "quantity('1')", ".add(", "lists.range(5)", ".sort()",
                ".flatten(",
                ".slice(0, 9)", "sets.contains(", "optional.of(", ".?a", "[?0]", ".orValue(", "self.items", "true",
                "null", " ", ",",
                "math.greatest(", "base64.encode(", "semver('1.2.3')", "cidr('10.0.0.0/8')", "format.dns1123Label()",
                "// c\n", "`a`",
            ], check: evaluate),
    ]

    private static let evaluate: @Sendable ([UInt8]) throws -> Bool = { input in
        var environment = CEL.Environment(library: .all)
        environment.declare("self", CEL.ValueType.dyn)
        let value: Document = ["a": 1, "replicas": 2, "max": 3, "items": ["a", "b"]]
        let program: CEL.Program
        do throws(CEL.CompileError) { program = try environment.compile(text(input)) } catch {
            // The message points into the source: it must not point past it.
            guard !error.issues.isEmpty, !error.description.isEmpty else { throw Broken("an error without a message") }
            return false
        }
        let evaluation = program.evaluate(["self": CEL.Value(value)], costLimit: 20_000)
        if case .success(let value) = evaluation.result { _ = CEL.Conversion.text(value) }
        return true
    }
}
