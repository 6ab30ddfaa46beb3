import Basics
import Client
import Document
import Kinds
import Wire

/// A cluster as a scenario sees it: an API to talk to, nothing more.
public struct ClusterAccess: Sendable {
    /// With the kubeconfig's own identity.
    public var transport: any Transport
    /// To the same server without a client certificate, for requests that carry a service account's token.
    /// Where it is nil, service accounts are impersonated instead.
    public var anonymous: (any Transport)?

    public init(transport: any Transport, anonymous: (any Transport)? = nil) {
        self.transport = transport
        self.anonymous = anonymous
    }

    static let userAgent = "lab-scenario"

    var client: APIClient { APIClient(transport: transport, userAgent: Self.userAgent) }

    /// A client that acts as `actor`, who lives in `namespace` where it is a service account.
    func client(as actor: Actor, namespace: String) async throws -> APIClient {
        switch actor {
        case .user(let name, let groups): return impersonating(name, groups)
        case .serviceAccount(let name):
            guard let anonymous else {
                return impersonating(
                    "system:serviceaccount:\(namespace):\(name)",
                    ["system:serviceaccounts", "system:serviceaccounts:\(namespace)", "system:authenticated"])
            }
            let request: Document = [
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": ["expirationSeconds": 3600],
            ]
            let answer = try await client.create(
                .serviceAccounts, namespace: namespace, request, name: name, subresource: "token")
            guard let token = answer.text("status", "token") else {
                throw StepFailure("the server gave no token for the service account \(name)")
            }
            return APIClient(transport: anonymous, userAgent: Self.userAgent, bearerToken: token)
        }
    }

    private func impersonating(_ user: String, _ groups: [String]) -> APIClient {
        APIClient(
            transport: ImpersonatingTransport(transport: transport, user: user, groups: groups),
            userAgent: Self.userAgent)
    }
}

private struct ImpersonatingTransport: UpgradingTransport {
    var transport: any Transport
    var user: String
    var groups: [String]

    func send(_ request: Request) async throws -> any ResponseStream { try await transport.send(acting(request)) }

    func upgrade(_ request: Request) async throws -> Upgrade {
        guard let transport = transport as? any UpgradingTransport else {
            throw StepFailure("this way to the server carries no protocol upgrades")
        }
        return try await transport.upgrade(acting(request))
    }

    private func acting(_ request: Request) -> Request {
        var request = request
        request.headers["Impersonate-User"] = user
        for group in groups { request.headers.add("Impersonate-Group", group) }
        return request
    }
}

/// Why a step did not do what it should: a line for each thing that is wrong.
struct StepFailure: Error, Sendable {
    var problems: [String]
    /// The innermost step, where several are one.
    var step: String?

    init(_ problem: String) { problems = [problem] }
    init(_ problems: [String]) { self.problems = problems }
}
