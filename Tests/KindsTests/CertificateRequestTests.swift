import Basics
import Document
import Schema
import Testing
import Wire

@testable import Kinds

@Suite struct CertificateRequestTests {
    private static let now = Timestamp(seconds: 1_800_000_000)

    private static func resource() throws -> ResourceInfo {
        try #require(
            Kinds.registry.resource(
                group: "certificates.k8s.io", version: "v1", kind: "CertificateSigningRequest"))
    }

    private static func request(
        _ change: Document = .emptyObject, groups: [String] = []
    ) throws -> Document {
        let pem = try CertificateRequest.make(
            commonName: "jane", organizations: groups, key: try PrivateKey.generate())
        var spec: Document = [
            "request": Document(Base64.encode(pem)), "signerName": "example.com/s", "usages": ["client auth"],
        ]
        for member in change.members { spec[member.key] = member.value.isNull ? Optional.none : member.value }
        return [
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": ["name": "a"],
            "spec": spec, "status": [:],
        ]
    }

    private static func texts(_ change: Document) throws -> [String] {
        Kinds.validateCreate(try request(change), resource: try resource()).map(\.text)
    }

    @Test func aRequestIsWhatItSays() throws {
        #expect(try Self.texts([:]).isEmpty)
        #expect(try Self.texts(["usages": nil]) == ["spec.usages: Required value"])
        #expect(try Self.texts(["signerName": "example.com"]).count == 1)
        #expect(
            try Self.texts(["signerName": "example/x"]) == [
                "spec.signerName: Invalid value: \"example\": should be a domain with at least two segments separated by "
                    + "dots"
            ])
        let garbage = Base64.encode(Array("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".utf8))
        #expect(
            try Self.texts(["request": Document(garbage)]) == [
                "spec.request: Invalid value: \"\(garbage)\": PEM block type must be CERTIFICATE REQUEST"
            ])
        // The frame is right, what is in it is not.
        let broken = Base64.encode(
            Array("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n".utf8))
        #expect(try Self.texts(["request": Document(broken)]).count == 1)
    }

    @Test func groupsOfTheSubjectCanBeRead() throws {
        let request = try Self.request(groups: ["system:masters", "devs"])
        #expect(
            CertificateRequests.groups(ofRequest: request.text("spec", "request"))?.sorted() == [
                "devs", "system:masters",
            ])
        #expect(CertificateRequests.groups(ofRequest: "AAAA") == nil)
    }

    private static func condition(_ type: String, _ status: String = "True") -> Document {
        ["type": Document(type), "status": Document(status)]
    }

    @Test func approvalIsWrittenInItsOwnWayAndForGood() throws {
        let resource = try Self.resource()
        let old = try Self.request()
        let part = try #require(Kinds.rules(for: resource).parts["approval"])
        var approved = old
        approved.set("other", at: "spec", "signerName")
        approved.set([Self.condition("Approved")], at: "status", "conditions")
        approved.set("AAAA", at: "status", "certificate")
        part.prepare(&approved, old, RuleContext(now: Self.now))
        #expect(part.validate(approved, old).isEmpty)
        // Only the conditions were taken, and they got their times.
        #expect(approved.text("spec", "signerName") == "example.com/s")
        #expect(approved.at("status", "certificate") == nil)
        let condition = try #require(approved.list("status", "conditions").first)
        #expect(condition.text("lastUpdateTime") == Self.now.description)
        #expect(condition.text("lastTransitionTime") == Self.now.description)

        var status = old
        status.set([Self.condition("Approved")], at: "status", "conditions")
        #expect(
            Kinds.validateStatusUpdate(status, old: old, resource: resource).map(\.text) == [
                "status.conditions: Forbidden: updates may not add a condition of type \"Approved\""
            ])
        var withdrawn = approved
        withdrawn.set([], at: "status", "conditions")
        #expect(
            part.validate(withdrawn, approved).map(\.text) == [
                "status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""
            ])
        var both = approved
        both.set(
            Document(approved.list("status", "conditions") + [Self.condition("Denied")]), at: "status", "conditions")
        #expect(
            part.validate(both, approved).map(\.text) == [
                "status.conditions: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive"
            ])
        var half = old
        half.set([Self.condition("Denied", "False")], at: "status", "conditions")
        #expect(
            part.validate(half, old).map(\.text) == [
                "status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\""
            ])
    }

    @Test func aCertificateIsIssuedOnce() throws {
        let resource = try Self.resource()
        let old = try Self.request()
        let authority = try CertificateAuthority.create(
            commonName: "test", now: Self.now, validity: .seconds(86_400))
        func issued(_ pem: [UInt8]) -> Document {
            var new = old
            new.set(Document(Base64.encode(pem)), at: "status", "certificate")
            return new
        }
        let good = issued(authority.certificatePEM)
        #expect(Kinds.validateStatusUpdate(good, old: old, resource: resource).isEmpty)
        #expect(
            Kinds.validateUpdate(good, old: old, resource: resource).map(\.text) == [
                "status.certificate: Forbidden: updates may not set certificate content"
            ])
        let other = issued(authority.certificatePEM + authority.certificatePEM)
        #expect(
            Kinds.validateStatusUpdate(other, old: good, resource: resource).map(\.text) == [
                "status.certificate: Forbidden: updates may not modify existing certificate content"
            ])
        let key = issued(authority.keyPEM)
        #expect(
            Kinds.validateStatusUpdate(key, old: old, resource: resource).first?.text.hasPrefix(
                "status.certificate: Invalid value: \"<certificate data>\": only CERTIFICATE PEM blocks are allowed")
                == true)
    }
}
