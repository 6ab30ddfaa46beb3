import Basics
import Client
import Document
import Testing
import Wire

@testable import Controllers

@Suite struct CertificateRulesTests {
    private static func request(_ name: String, _ organizations: [String]) throws -> CertificateRequest {
        try CertificateRequest(
            pem: CertificateRequest.make(commonName: name, organizations: organizations, key: .generate()))
    }

    @Test(
        arguments: [
            ("system:node:a", ["system:nodes"], ["digital signature", "client auth"], nil),
            ("system:node:a", [], ["digital signature", "client auth"], "subject organization is not system:nodes"),
            (
                "a", ["system:nodes"], ["digital signature", "client auth"],
                "subject common name does not begin with system:node:"
            ),
            (
                "system:node:a", ["system:nodes"], ["server auth"],
                "usages did not match [client auth digital signature key encipherment]"
            ),
        ] as [(String, [String], [String], String?)])
    func nodesAskAsNodes(name: String, organizations: [String], usages: [String], refusal: String?) throws {
        let request = try Self.request(name, organizations)
        var found: String?
        do {
            try CertificateRules.check(request, Set(usages), signer: CertificateRules.kubeletClient)
        } catch { found = error.message }
        #expect(found == refusal)
    }

    @Test func clientsNameTheirPurpose() throws {
        let request = try Self.request("jane", [])
        func refusal(_ usages: Set<String>) -> String? {
            do { try CertificateRules.check(request, usages, signer: CertificateRules.apiClient) } catch {
                return error.message
            }
            return nil
        }
        #expect(refusal(["client auth"]) == nil)
        #expect(refusal(["digital signature"]) == "missing required usage for client certificate: client auth")
        #expect(refusal(["client auth", "server auth"]) == "invalid usage for client certificate: server auth")
    }
}

@Suite struct CertificateCleanerTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func plan(age: Int, _ conditions: [Document], certificate: Bool = false) -> Plan {
        let then = Document((now + .seconds(-age)).rfc3339())
        let dated = conditions.map { condition -> Document in
            var condition = condition
            condition["lastUpdateTime"] = then
            return condition
        }
        var status: Document = ["conditions": Document(dated)]
        if certificate { status["certificate"] = "bm90IGEgY2VydGlmaWNhdGU=" }
        return CertificateCleaner.plan(
            ["metadata": ["name": "r", "uid": "u", "creationTimestamp": then], "status": status],
            Situation(now: now))
    }

    @Test func openRequestsAreKeptForADay() {
        #expect(plan(age: 86_300, []).actions.isEmpty)
        #expect(plan(age: 86_300, []).lookAgain == .seconds(101))
        #expect(plan(age: 86_500, []).actions.count == 1)
    }

    @Test func answeredOnesForAnHour() {
        let denied: Document = ["type": "Denied", "status": "True"]
        let approved: Document = ["type": "Approved", "status": "True"]
        #expect(plan(age: 3_500, [denied]).actions.isEmpty)
        #expect(plan(age: 3_700, [denied]).actions.count == 1)
        #expect(plan(age: 3_700, [approved], certificate: true).actions.count == 1)
        // Approved, and nobody has signed it yet.
        #expect(plan(age: 900_000, [approved]) == .nothing)
    }
}
