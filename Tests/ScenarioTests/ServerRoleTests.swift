import Basics
import Document
import Testing
import Wire

@testable import Testbox

/// The test image's servers: webhooks and a group of the API.
@Suite("Testbox servers") struct ServerRoleTests {
    private static let deny = Hook([
        "rules": [
            ["when": ["operation": "CREATE", "object": ["data": ["bad": "yes"]]], "allowed": false, "message": "no"],
            [
                "when": ["object": ["data": ["start": "yes"]]],
                "patch": [["op": "add", "path": "/data/a", "value": "b"]],
            ],
        ]
    ])

    private static func review(_ operation: String, _ data: Document) -> Document {
        [
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": ["uid": "u", "operation": Document(operation), "object": ["data": data]],
        ]
    }

    @Test func firstRuleThatFitsDecides() {
        let cases: [(operation: String, data: Document, allowed: Bool, patched: Bool)] = [
            ("CREATE", ["bad": "yes"], false, false), ("CREATE", ["bad": "yes", "start": "yes"], false, false),
            ("UPDATE", ["bad": "yes"], true, false), ("UPDATE", ["start": "yes"], true, true),
            ("CREATE", [:], true, false),
        ]
        for (operation, data, allowed, patched) in cases {
            let response = Self.deny.answer(Self.review(operation, data))["response"]
            #expect(response?["uid"]?.string == "u")
            #expect(response?["allowed"]?.bool == allowed, "\(operation) \(data.jsonText)")
            #expect((response?["patch"] != nil) == patched)
            #expect((response?["patchType"] != nil) == patched)
        }
    }

    @Test func textAndPartsAreConverted() {
        let hook = Hook(["joined": ["version": "v1", "field": "hostPort", "parts": ["host", "port"]]])
        func converted(_ object: Document, to version: String) -> Document? {
            let review: Document = [
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
                "request": ["uid": "u", "desiredAPIVersion": Document("x/\(version)"), "objects": [object]],
            ]
            return hook.answer(review)["response"]?["convertedObjects"]?.elements.first
        }
        let joined: Document = ["apiVersion": "x/v1", "hostPort": "h:80"]
        let apart: Document = ["apiVersion": "x/v2", "host": "h", "port": "80"]
        #expect(converted(joined, to: "v2")?.means(apart) == true)
        #expect(converted(apart, to: "v1")?.means(joined) == true)
    }

    @Test func objectsOfTheGroupLive() {
        var group = FlunderGroup(group: "g", version: "v1")
        func ask(_ method: String, _ path: String, _ body: Document? = nil) -> (status: Int, body: Document) {
            group.answer(
                Request(
                    method, path, headers: Headers([("X-Remote-User", "jane")]), body: body?.json ?? []))
        }
        #expect(ask("GET", "/apis/g/v1").body["groupVersion"]?.string == "g/v1")
        let place = "/apis/g/v1/namespaces/n/flunders"
        let made = ask("POST", place, ["metadata": ["name": "a"], "spec": ["x": 1]])
        #expect(made.status == 201)
        #expect(made.body["metadata"]?["annotations"]?["created-by"]?.string == "jane")
        #expect(ask("POST", place, ["metadata": ["name": "a"]]).status == 409)
        #expect(ask("GET", place + "/a").status == 200)
        #expect(ask("GET", "/apis/g/v1/flunders?limit=5").body["items"]?.count == 1)
        #expect(ask("GET", "/apis/g/v1/namespaces/other/flunders").body["items"]?.count == 0)
        #expect(ask("DELETE", place).status == 200)
        #expect(ask("GET", place + "/a").status == 404)
        for nonsense in [
            "", "/", "/apis", "/apis/g/v1/", "/apis/g/v1/namespaces/n", "/apis/g/v1/namespaces/n/flunders/a/b",
        ] {
            #expect([200, 404].contains(ask("GET", nonsense).status))
        }
        #expect(ask("POST", place, "nonsense").status == 400)
    }

    @Test(arguments: [false, true]) func tokensAreCheckedByPublishedKeys(rsa: Bool) throws {
        let key = rsa ? try PrivateKey.generateRSA() : try PrivateKey.generate()
        let other = try PrivateKey.generate()
        func published(_ key: PublicKey) -> Document {
            if let (n, e) = key.modulusAndExponent() {
                return [
                    "kty": "RSA", "n": Document(Base64.encode(n, url: true)),
                    "e": Document(Base64.encode(e, url: true)),
                ]
            }
            let (x, y) = key.coordinates() ?? ([], [])
            return [
                "kty": "EC", "crv": "P-256", "x": Document(Base64.encode(x, url: true)),
                "y": Document(Base64.encode(y, url: true)),
            ]
        }
        let head = Base64.encode(Array(#"{"alg":"none"}"#.utf8), url: true)
        let claims = Base64.encode(Array(#"{"iss":"me"}"#.utf8), url: true)
        let signature = Base64.encode(try key.sign(Array("\(head).\(claims)".utf8)), url: true)
        let token = try #require(SignedToken("\(head).\(claims).\(signature)"))
        #expect(token.claims["iss"]?.string == "me")
        #expect(token.isSigned(by: published(try key.publicKey())))
        #expect(!token.isSigned(by: published(try other.publicKey())))
        #expect(!token.isSigned(by: ["kty": "EC", "x": "AA", "y": "AA"]))
        let forged = Base64.encode(Array(#"{"iss":"you"}"#.utf8), url: true)
        #expect(SignedToken("\(head).\(forged).\(signature)")?.isSigned(by: published(try key.publicKey())) == false)
        #expect(SignedToken("a.b") == nil)
    }

    @Test func wordsAreUnderstood() throws {
        #expect(
            try Behaviour(["hooks", "/hooks", "a.b.svc", "--port", "9443"])
                == .hooks(port: 9_443, directory: "/hooks", names: ["a.b.svc"]))
        #expect(
            try Behaviour(["group", "g", "v1", "/ca.crt", "a.b.svc"])
                == .group(port: 8_443, group: "g", version: "v1", authority: "/ca.crt", names: ["a.b.svc"]))
        #expect(
            try Behaviour(["keep", "--reads", "http://a:1"]) == .keep(Keeper(port: 8_080, reads: try URL("http://a:1")))
        )
        for wrong in [
            ["hooks"], ["hooks", "/hooks"], ["group", "g", "v1"], ["keep", "x"], ["keep", "--reads", "a"],
        ] {
            #expect(throws: UsageError.self) { try Behaviour(wrong) }
        }
    }
}
