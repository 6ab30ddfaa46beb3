import Basics
import Client
import Document
import Kinds
import Wire

/// The key with which approved requests are signed, and for how long at most.
public struct CertificateSigning: Sendable {
    let authority: CertificateAuthority
    let longest: Duration

    public init(certificatePEM: [UInt8], keyPEM: [UInt8], longest: Duration = .seconds(365 * 86_400)) throws {
        authority = try CertificateAuthority(certificatePEM: certificatePEM, keyPEM: keyPEM)
        self.longest = longest
    }
}

/// Approves the requests of nodes for certificates with which they speak to the API server, where RBAC allows it.
struct CertificateApprover: Controller {
    let name = "certificatesigningrequest-approving-controller"
    let workers = 1
    private let requests: Informer

    init(_ informers: Informers) { requests = informers(.certificateSigningRequests) }

    var sources: [Source] { [Source(requests)] }

    /// The rights that would let a request be approved, with what to say then.
    private static func recognize(_ request: Document) -> [(right: String, message: String)] {
        guard request.text("spec", "signerName") == CertificateRules.kubeletClient,
            let parsed = try? CertificateRules.parse(request),
            (try? CertificateRules.check(
                parsed, CertificateRules.usages(request), signer: CertificateRules.kubeletClient)) != nil
        else { return [] }
        let isOwn = request.text("spec", "username") == parsed.commonName
        let any = ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")
        let own = ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.")
        return isOwn ? [own, any] : [any]
    }

    private static func isOpen(_ request: Document) -> Bool {
        !CertificateRules.isIssued(request) && !CertificateRules.isTrue(request, "Approved")
            && !CertificateRules.isTrue(request, "Denied")
    }

    func inquire(_ key: String, _ client: APIClient) async throws -> Document? {
        guard let request = requests.get(key: key), Self.isOpen(request) else { return nil }
        for (right, message) in Self.recognize(request) {
            var spec: Document = [
                "resourceAttributes": [
                    "group": "certificates.k8s.io", "resource": "certificatesigningrequests",
                    "subresource": Document(right), "verb": "create",
                ]
            ]
            for (field, name) in [("username", "user"), ("uid", "uid"), ("groups", "groups"), ("extra", "extra")] {
                spec[name] = request.at("spec", field)
            }
            let review = try await client.create(
                .subjectAccessReviews,
                ["apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec])
            if review.flag("status", "allowed") == true { return Document(message) }
        }
        return nil
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let message = situation.answer, var request = requests.get(key: key), Self.isOpen(request) else {
            return .nothing
        }
        let now = Document(situation.now.rfc3339())
        let condition: Document = [
            "type": "Approved", "status": "True", "reason": "AutoApproved", "message": message, "lastUpdateTime": now,
            "lastTransitionTime": now,
        ]
        request.set(Document(request.list("status", "conditions") + [condition]), at: "status", "conditions")
        return Plan(steps: [
            .inOrder([.update(.certificateSigningRequests, request, subresource: "approval")])
        ])
    }
}

/// Signs what was approved, for the signers that the cluster's own authority speaks for.
struct CertificateSigner: Controller {
    let name = "certificatesigningrequest-signing-controller"
    let workers = 1
    private static let shortest = Duration.seconds(600)
    private static let signers: Set = [
        CertificateRules.kubeletServing, CertificateRules.kubeletClient, CertificateRules.apiClient,
        CertificateRules.legacyUnknown,
    ]
    private let requests: Informer
    private let signing: CertificateSigning

    init(_ informers: Informers, _ signing: CertificateSigning) {
        requests = informers(.certificateSigningRequests)
        self.signing = signing
    }

    var sources: [Source] { [Source(requests)] }

    func plan(_ key: String, _ situation: Situation) throws -> Plan {
        guard var request = requests.get(key: key), let signer = request.text("spec", "signerName"),
            Self.signers.contains(signer), CertificateRules.isTrue(request, "Approved"),
            !CertificateRules.isTrue(request, "Failed"), !CertificateRules.isTrue(request, "Denied"),
            !CertificateRules.isIssued(request)
        else { return .nothing }
        let parsed = try CertificateRules.parse(request)
        let usages = CertificateRules.usages(request)
        do {
            try CertificateRules.check(parsed, usages, signer: signer)
            let certificate = try signing.authority.sign(
                parsed, keyUsages: Set(usages.compactMap { CertificateRules.keyUsages[$0] }).sorted(),
                extendedUsages: Set(usages.compactMap { CertificateRules.extendedUsages[$0] }).sorted(),
                now: situation.now, validity: validity(request))
            request.set(Document(Base64.encode(certificate)), at: "status", "certificate")
        } catch let refusal as CertificateRules.Refusal {
            let now = Document(situation.now.rfc3339())
            let condition: Document = [
                "type": "Failed", "status": "True", "reason": "SignerValidationFailure",
                "message": Document(refusal.message), "lastUpdateTime": now, "lastTransitionTime": now,
            ]
            request.set(Document(request.list("status", "conditions") + [condition]), at: "status", "conditions")
        }
        return Plan(steps: [.inOrder([.update(.certificateSigningRequests, request, subresource: "status")])])
    }

    private func validity(_ request: Document) -> Duration {
        guard let wanted = request.number("spec", "expirationSeconds") else { return signing.longest }
        return min(signing.longest, max(Self.shortest, .seconds(wanted)))
    }
}

/// Removes requests that have served their purpose, or that nobody answers.
struct CertificateCleaner: Controller {
    let name = "certificatesigningrequest-cleaner-controller"
    let workers = 1
    private static let afterAnswer = Duration.seconds(3_600)
    private static let withoutAnswer = Duration.seconds(86_400)
    private let requests: Informer

    init(_ informers: Informers) { requests = informers(.certificateSigningRequests) }

    var sources: [Source] { [Source(requests)] }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let request = requests.get(key: key), !request.isTerminating else { return .nothing }
        return Self.plan(request, situation)
    }

    static func plan(_ request: Document, _ situation: Situation) -> Plan {
        guard let end = end(of: request) else { return .nothing }
        if end > situation.now { return Plan(lookAgain: end - situation.now + .seconds(1)) }
        return Plan(steps: [.inOrder([.delete(.certificateSigningRequests, request)])])
    }

    private static func end(of request: Document) -> Timestamp? {
        let conditions = request.list("status", "conditions")
        if conditions.isEmpty { return request.created + withoutAnswer }
        var ends: [Timestamp] = []
        for condition in conditions {
            let updated = condition.time("lastUpdateTime")
            switch condition.text("type") {
            case "Denied", "Failed": if let updated { ends.append(updated + afterAnswer) }
            case "Approved":
                // Approved and not signed: its signer may come yet.
                guard CertificateRules.isIssued(request) else { continue }
                if let updated { ends.append(updated + afterAnswer) }
                if let expiry = expiry(of: request) { ends.append(expiry) }
            default: break
            }
        }
        return ends.min()
    }

    private static func expiry(of request: Document) -> Timestamp? {
        guard let pem = Base64.decode(request.text("status", "certificate") ?? ""),
            let certificate = try? X509Certificate.parseAll(pem: pem).first
        else { return nil }
        return certificate.notAfter
    }
}
