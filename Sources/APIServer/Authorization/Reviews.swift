import Basics
import Document
import Kinds
import Schema

/// The kinds that are questions: posted, answered in their status, and never stored.
struct Reviews: Sendable {
    let resources: Resources
    let authenticator: Authenticator

    static let kinds: Set = [
        "SelfSubjectAccessReview", "SubjectAccessReview", "LocalSubjectAccessReview", "SelfSubjectRulesReview",
        "TokenReview", "SelfSubjectReview",
    ]

    func answer(_ call: Call) async throws -> Answer {
        guard call.media.shape == .whole else {
            throw APIStatus.failure(
                406, "NotAcceptable",
                "only the following media types are accepted: " + MediaType.known.joined(separator: ", "))
        }
        let options = try call.writeOptions(kind: "CreateOptions")
        let resource = call.resource
        var review = try BodyDecoder(registry: resources.registry, call: call).object(
            kind: resource.kind, group: resource.group, version: resource.version, type: resource.type,
            validation: options.fieldValidation)
        if review["metadata"] == nil { review["metadata"] = .emptyObject }
        switch resource.kind {
        case "SelfSubjectAccessReview":
            try check(review, resource, hasSubject: false)
            review["status"] = try await decide(review, user: call.user)
        case "SubjectAccessReview", "LocalSubjectAccessReview":
            if resource.kind == "LocalSubjectAccessReview" {
                // The path says where, as for every object in a namespace.
                if (review.text("metadata", "namespace") ?? "").isEmpty {
                    review.set(Document(call.namespace), at: "metadata", "namespace")
                }
                try check(review, resource, hasSubject: true)
                try checkLocal(review, call)
            } else {
                try check(review, resource, hasSubject: true)
            }
            review["status"] = try await decide(review, user: Self.subject(review))
        case "SelfSubjectRulesReview":
            review["status"] = try await rules(review, call.user)
            review["spec"] = .emptyObject
        case "TokenReview":
            review["status"] = try await reviewToken(review)
        case "SelfSubjectReview":
            review["metadata"] = ["creationTimestamp": Document(resources.world.clock.now.description)]
            review["status"] = ["userInfo": call.user.document]
        default: throw APIStatus.noSuchResource
        }
        return .document(review, status: 201)
    }

    private static func subject(_ review: Document) -> UserInfo {
        var extra: [String: [String]] = [:]
        for member in review.at("spec", "extra")?.members ?? [] {
            extra[member.key.lowercased()] = member.value.elements.compactMap(\.string)
        }
        return UserInfo(
            name: review.text("spec", "user") ?? "", uid: review.text("spec", "uid") ?? "",
            groups: review.list("spec", "groups").compactMap(\.string), extra: extra)
    }

    private func check(_ review: Document, _ resource: ResourceInfo, hasSubject: Bool) throws {
        let errors = ReviewValidation.errors(in: review, kind: resource.kind, hasSubject: hasSubject)
        // Upstream leaves the kind out here, and clients see the message.
        if !errors.isEmpty { throw APIStatus.invalid(kind: "", group: resource.group, name: "", errors) }
    }

    /// A review in a namespace is about that namespace.
    private func checkLocal(_ review: Document, _ call: Call) throws {
        guard (review.text("metadata", "namespace") ?? "") == call.namespace else {
            throw APIStatus.badRequest("spec.resourceAttributes.namespace must match namespace: \(call.namespace)")
        }
    }

    private func decide(_ review: Document, user: UserInfo) async throws -> Document {
        var attributes = AccessAttributes(user: user, verb: "")
        if let asked = review.at("spec", "resourceAttributes"), asked.isObject {
            attributes.verb = asked.text("verb") ?? ""
            attributes.namespace = asked.text("namespace") ?? ""
            attributes.group = asked.text("group") ?? ""
            attributes.resource = asked.text("resource") ?? ""
            attributes.subresource = asked.text("subresource") ?? ""
            attributes.name = asked.text("name") ?? ""
            attributes.fields = ReviewValidation.fields(asked["fieldSelector"])
        } else if let asked = review.at("spec", "nonResourceAttributes") {
            attributes.verb = asked.text("verb") ?? ""
            attributes.path = asked.text("path") ?? ""
        }
        let decision = try await resources.access.decide(attributes, resources)
        var status: Document = ["allowed": Document(decision.allowed)]
        if !decision.reason.isEmpty { status["reason"] = Document(decision.reason) }
        return status
    }

    private func rules(_ review: Document, _ user: UserInfo) async throws -> Document {
        let namespace = review.text("spec", "namespace") ?? ""
        guard !namespace.isEmpty else { throw APIStatus.badRequest("no namespace on request") }
        var held = try await resources.access.snapshot(resources).rules(of: user, namespace: namespace)
        if user.groups.contains("system:masters") {
            var everything = PolicyRule()
            everything.verbs = ["*"]
            everything.groups = ["*"]
            everything.resources = ["*"]
            var everywhere = PolicyRule()
            everywhere.verbs = ["*"]
            everywhere.paths = ["*"]
            held = [everything, everywhere] + held
        }
        held = PolicyRule.compacted(held)
        // What a node may do depends on its pods; no list of rules can say it.
        let isNode = NodeAuthorizer.node(user) != nil
        var status: Document = [
            "resourceRules": Document(held.filter { $0.paths.isEmpty }.map(\.document)),
            "nonResourceRules": Document(held.filter { !$0.paths.isEmpty }.map(\.document)),
            "incomplete": Document(isNode),
        ]
        if isNode { status["evaluationError"] = "node authorizer does not support user rule resolution" }
        return status
    }

    private func reviewToken(_ review: Document) async throws -> Document {
        let token = review.text("spec", "token") ?? ""
        guard !token.isEmpty else { throw APIStatus.badRequest("token is required for TokenReview in authentication") }
        let asked = review.list("spec", "audiences").compactMap(\.string)
        let audiences = asked.isEmpty ? authenticator.tokens.apiAudiences : asked
        do {
            let found = try await authenticator.user(forToken: token, audiences: audiences)
            return [
                "authenticated": true, "user": found.user.document, "audiences": Document(found.audiences),
            ]
        } catch {
            return ["user": [:], "error": Document(error.text)]
        }
    }
}
