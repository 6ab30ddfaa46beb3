import Document
import Kinds
import Schema

private let requests = "certificatesigningrequests.certificates.k8s.io"

/// A request for a certificate says who made it; what the client wrote there does not count.
struct CertificateRequester: AdmissionPlugin {
    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn(requests), context.operation == .create else { return }
        var spec = object["spec"] ?? .emptyObject
        for field in ["username", "uid", "groups", "extra"] { spec[field] = nil }
        let user = context.user
        spec["username"] = Document(user.name)
        if !user.uid.isEmpty { spec["uid"] = Document(user.uid) }
        if !user.groups.isEmpty { spec["groups"] = Document(user.groups) }
        if !user.extra.isEmpty {
            spec["extra"] = Document(
                members: user.extra.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value)) })
        }
        object["spec"] = spec
    }
}

/// Who approves a request needs the verb `approve` on its signer, and who issues or judges it the verb `sign`.
struct CertificateSigners: AdmissionPlugin {
    /// The subresources that it looks at.
    let judges: Set<String>

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.resource.qualifiedName == requests, context.operation == .update,
            judges.contains(context.subresource), let old = context.old
        else { return }
        let signer = old.text("spec", "signerName") ?? ""
        switch context.subresource {
        case "approval":
            guard try await may("approve", signer, context.user, resources) else {
                throw context.refuse(
                    "user not permitted to approve requests with signerName \(Document(signer).jsonText)")
            }
        case "status":
            func judged(_ field: String) -> Document { object.at("status", field) ?? .null }
            func before(_ field: String) -> Document { old.at("status", field) ?? .null }
            if judged("certificate") == before("certificate"), judged("conditions").means(before("conditions")) {
                return
            }
            guard try await may("sign", signer, context.user, resources) else {
                throw context.refuse(
                    "user not permitted to sign requests with signerName \(Document(signer).jsonText)")
            }
        default: return
        }
    }

    /// Rights are given for one signer, or for all of a domain.
    private func may(_ verb: String, _ signer: String, _ user: UserInfo, _ resources: Resources) async throws -> Bool {
        var attributes = AccessAttributes(user: user, verb: verb)
        attributes.group = "certificates.k8s.io"
        attributes.resource = "signers"
        let domain = signer.split(separator: "/", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        for name in [signer, domain + "/*"] {
            attributes.name = name
            if try await resources.access.decide(attributes, resources).allowed { return true }
        }
        return false
    }
}

/// Nobody gets a certificate that no authorization can ever hold back.
struct CertificateSubjectRestriction: AdmissionPlugin {
    private static let signer = "kubernetes.io/kube-apiserver-client"

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn(requests), context.operation == .create,
            object.text("spec", "signerName") == Self.signer,
            let groups = CertificateRequests.groups(ofRequest: object.text("spec", "request"))
        else { return }
        if groups.contains("system:masters") {
            throw context.refuse("use of \(Self.signer) signer with system:masters group is not allowed")
        }
    }
}

/// Devices that others use may be seen only from namespaces that are marked for it.
struct DeviceAdminAccess: AdmissionPlugin {
    private static let label = "resource.kubernetes.io/admin-access"

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        let path: [String]
        switch (context.resource.qualifiedName, context.subresource, context.operation) {
        case ("resourceclaims.resource.k8s.io", "", .create): path = ["spec", "devices"]
        case ("resourceclaimtemplates.resource.k8s.io", "", .create): path = ["spec", "spec", "devices"]
        case ("resourceclaims.resource.k8s.io", "status", .update):
            try await allocation(object, context, resources)
            return
        default: return
        }
        let asked = (object.at(path: path)?.list("requests") ?? []).enumerated()
            .filter { $0.element.flag("exactly", "adminAccess") == true }.map(\.offset)
        guard !asked.isEmpty, try await !isMarked(context.namespace, resources) else { return }
        let errors = asked.map { index in
            FieldError.forbidden(
                "\(path.joined(separator: ".")).requests[\(index)].adminAccess",
                "admin access to devices requires the `\(Self.label): true` label on the containing namespace")
        }
        throw APIStatus.invalid(context.resource, context.name, errors)
    }

    private func allocation(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        func results(_ claim: Document?) -> [Document] {
            claim?.list("status", "allocation", "devices", "results") ?? []
        }
        guard results(context.old).isEmpty else { return }
        let given = results(object).enumerated().filter { $0.element.flag("adminAccess") == true }.map(\.offset)
        guard !given.isEmpty, try await !isMarked(context.namespace, resources) else { return }
        let errors = given.map { index in
            FieldError.forbidden(
                "status.allocation.devices.results[\(index)].adminAccess",
                "admin access to devices requires the `\(Self.label): true` label on the containing namespace")
        }
        throw APIStatus.invalid(context.resource, context.name, errors)
    }

    private func isMarked(_ namespace: String, _ resources: Resources) async throws -> Bool {
        try await resources.object("namespaces", name: namespace)?.map("metadata", "labels")[Self.label] == "true"
    }
}
