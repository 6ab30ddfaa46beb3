import Basics
import Document
import Schema
import Wire

extension KindRules {
    static let certificateSigningRequest: KindRules = {
        var rules = KindRules()
        // Only what a path demands: signers choose names of every form.
        rules.nameSyntax = .pathSegment
        rules.prepareForCreate = { request, _ in request["status"] = .emptyObject }
        rules.prepareForUpdate = { new, old, _ in new["spec"] = old["spec"] }
        rules.prepareForStatusUpdate = { new, old, context in
            CertificateRequests.stampConditions(&new, old: old, now: context.now)
        }
        rules.validateNew = { CertificateRequests.validate($0, old: nil) }
        rules.validateUpdate = { CertificateRequests.validateUpdate($0, old: $1) }
        rules.validateStatusUpdate = { CertificateRequests.validateUpdate($0, old: $1, setsCertificate: true) }
        rules.parts["approval"] = PartRules(
            prepare: { new, old, context in
                let conditions = new.at("status", "conditions")
                let metadata = new["metadata"]
                new = old
                new["metadata"] = metadata
                new.set(conditions, at: "status", "conditions")
                if new["status"]?.isObject != true { new["status"] = .emptyObject }
                CertificateRequests.stampConditions(&new, old: old, now: context.now)
            },
            validate: {
                MetadataRules.validateUpdate($0, old: $1, nameSyntax: .pathSegment)
                    + CertificateRequests.validateUpdate($0, old: $1, approves: true)
            })
        rules.selectableFields = { [("spec.signerName", $0.text("spec", "signerName") ?? "")] }
        rules.cells = { request, now in
            let duration = request.number("spec", "expirationSeconds")
            return [
                Cells.age(request, now: now), request.at("spec", "signerName") ?? Cells.none,
                request.at("spec", "username") ?? "",
                duration.map { Document(Cells.age(seconds: $0)) } ?? Cells.none,
                Document(CertificateRequests.state(request)),
            ]
        }
        return rules
    }()
}

/// Requests for certificates: who may change what of them, and what they must hold.
public enum CertificateRequests {
    /// The groups that the request's subject names; nil where it cannot be read.
    public static func groups(ofRequest encoded: String?) -> [String]? {
        guard let pem = encoded.flatMap({ Base64.decode($0) }) else { return nil }
        return try? CertificateRequest(pem: pem).organizations
    }

    static func state(_ request: Document) -> String {
        let types = request.list("status", "conditions").compactMap { $0.text("type") }
        var text = "Pending"
        if types.contains("Approved") { text = "Approved" }
        if types.contains("Denied") { text = "Denied" }
        if types.contains("Failed") { text += ",Failed" }
        if !(request.text("status", "certificate") ?? "").isEmpty { text += ",Issued" }
        return text
    }

    /// Conditions without times get them: the update's is now, the transition's that of the same state before.
    static func stampConditions(_ new: inout Document, old: Document, now: Timestamp) {
        let before = old.list("status", "conditions")
        let conditions = new.list("status", "conditions")
        if conditions.isEmpty { return }
        let stamped = conditions.map { condition -> Document in
            var condition = condition
            if condition.text("lastUpdateTime") == nil { condition["lastUpdateTime"] = Document(now.description) }
            if condition.text("lastTransitionTime") == nil {
                let same = before.first {
                    $0.text("type") == condition.text("type") && $0.text("status") == condition.text("status")
                        && $0.text("lastTransitionTime") != nil
                }
                condition["lastTransitionTime"] = same?["lastTransitionTime"] ?? Document(now.description)
            }
            return condition
        }
        new.set(Document(stamped), at: "status", "conditions")
    }

    // MARK: Validation

    private static let usages = [
        "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
        "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
        "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
        "server auth", "signing", "timestamping",
    ]
    private static let legacySigner = "kubernetes.io/legacy-unknown"

    /// Everything about one state of the request; what `old` got away with stays allowed.
    static func validate(_ request: Document, old: Document?) -> [FieldError] {
        let spec = request["spec"] ?? .emptyObject
        var errors: [FieldError] = []
        // The spec never changes, so what was read once need not be read again.
        if old == nil, let wrong = wrongRequest(spec.text("request")) {
            errors.append(.invalid("spec.request", spec["request"], wrong))
        }
        let given = spec.list("usages").compactMap(\.string)
        if given.isEmpty { errors.append(.required("spec.usages")) }
        if old == nil {
            for (index, usage) in given.enumerated() where !usages.contains(usage) {
                errors.append(.notSupported("spec.usages[\(index)]", Document(usage), usages))
            }
            for (index, usage) in given.enumerated() where given.prefix(index).contains(usage) {
                errors.append(.duplicate("spec.usages[\(index)]", Document(usage)))
            }
        }
        let signer = spec.text("signerName") ?? ""
        if old == nil, signer == legacySigner {
            errors.append(
                .invalid(
                    "spec.signerName", Document(signer), "the legacy signerName is not allowed via this API version"))
        } else {
            errors += SignerNames.validate(signer, "spec.signerName")
        }
        if let seconds = spec.number("expirationSeconds"), seconds < 600 {
            errors.append(
                .invalid(
                    "spec.expirationSeconds", Document(seconds),
                    "may not specify a duration less than 600 seconds (10 minutes)"))
        }
        errors += conditions(request, old: old)
        let certificate = request.text("status", "certificate") ?? ""
        if certificate != (old?.text("status", "certificate") ?? ""), let wrong = wrongCertificate(certificate) {
            errors.append(.invalid("status.certificate", "<certificate data>", wrong))
        }
        return errors
    }

    private static func conditions(_ request: Document, old: Document?) -> [FieldError] {
        let path = "status.conditions"
        let before = (old?.list("status", "conditions") ?? []).map { $0.text("type") ?? "" }
        let decidedTwice = before.contains("Approved") && before.contains("Denied")
        let hadDuplicates = Set(before).count < before.count
        var errors: [FieldError] = []
        var seen: Set<String> = []
        for (index, condition) in request.list("status", "conditions").enumerated() {
            let (type, status) = (condition.text("type") ?? "", condition.text("status") ?? "")
            if type.isEmpty, !before.contains("") { errors.append(.required("\(path)[\(index)].type")) }
            let allowed =
                ["Approved", "Denied", "Failed"].contains(type) ? ["True"] : ["False", "True", "Unknown"]
            if status.isEmpty {
                errors.append(.required("\(path)[\(index)].status"))
            } else if !allowed.contains(status) {
                errors.append(.notSupported("\(path)[\(index)].status", Document(status), allowed))
            }
            if !decidedTwice,
                (type == "Approved" && seen.contains("Denied"))
                    || (type == "Denied" && seen.contains("Approved"))
            {
                errors.append(
                    .invalid(path, Document(type), "Approved and Denied conditions are mutually exclusive"))
            }
            if !seen.insert(type).inserted, !hadDuplicates {
                errors.append(.duplicate("\(path)[\(index)].type", Document(type)))
            }
        }
        return errors
    }

    /// Approval and certificate are each written through a subresource of their own.
    static func validateUpdate(
        _ new: Document, old: Document, approves: Bool = false, setsCertificate: Bool = false
    ) -> [FieldError] {
        var errors = validate(new, old: old)
        func conditions(_ request: Document, _ type: String) -> [Document] {
            request.list("status", "conditions").filter { $0.text("type") == type }
        }
        for type in ["Approved", "Denied", "Failed"] where conditions(new, type).count < conditions(old, type).count {
            errors.append(
                .forbidden("status.conditions", "updates may not remove a condition of type \"\(type)\""))
        }
        if !approves {
            for type in ["Approved", "Denied"] {
                let (now, before) = (conditions(new, type), conditions(old, type))
                if now.count > before.count {
                    errors.append(
                        .forbidden("status.conditions", "updates may not add a condition of type \"\(type)\""))
                } else if now.count == before.count, zip(now, before).contains(where: { !$0.means($1) }) {
                    errors.append(
                        .forbidden("status.conditions", "updates may not modify a condition of type \"\(type)\""))
                }
            }
        }
        let (certificate, before) = (
            new.text("status", "certificate") ?? "", old.text("status", "certificate") ?? ""
        )
        if certificate != before {
            if !setsCertificate {
                errors.append(.forbidden("status.certificate", "updates may not set certificate content"))
            } else if !before.isEmpty {
                errors.append(
                    .forbidden("status.certificate", "updates may not modify existing certificate content"))
            }
        }
        return errors
    }

    private static func wrongRequest(_ encoded: String?) -> String? {
        guard let pem = encoded.flatMap({ Base64.decode($0) }),
            PEM.blocks(pem).first?.label == "CERTIFICATE REQUEST"
        else { return "PEM block type must be CERTIFICATE REQUEST" }
        do {
            _ = try CertificateRequest(pem: pem)
            return nil
        } catch {
            return "\(error)"
        }
    }

    static func wrongCertificate(_ encoded: String) -> String? {
        if encoded.isEmpty { return nil }
        let pem = Base64.decode(encoded) ?? []
        let blocks = PEM.blocks(pem)
        for block in blocks {
            if block.label != "CERTIFICATE" {
                return "only CERTIFICATE PEM blocks are allowed, found \(Document(block.label).jsonText)"
            }
            if block.hasHeaders { return "no PEM block headers are permitted" }
        }
        if blocks.isEmpty { return "must contain at least one CERTIFICATE PEM block" }
        do {
            return try X509Certificate.parseAll(pem: pem).isEmpty
                ? "found CERTIFICATE PEM block containing 0 certificates" : nil
        } catch {
            return "\(error)"
        }
    }
}

/// The blocks of a PEM text, as far as their frames tell.
enum PEM {
    static func blocks(_ bytes: [UInt8]) -> [(label: String, hasHeaders: Bool)] {
        var found: [(label: String, hasHeaders: Bool)] = []
        var open: (label: String, hasHeaders: Bool)?
        for line in bytes.split(whereSeparator: { $0 == 10 || $0 == 13 }) {
            let text = String(decoding: line, as: UTF8.self)
            if text.hasPrefix("-----BEGIN "), text.hasSuffix("-----") {
                open = (String(text.dropFirst(11).dropLast(5)), false)
            } else if let block = open, text == "-----END \(block.label)-----" {
                found.append(block)
                open = nil
            } else if open != nil, text.contains(":") {
                open?.hasHeaders = true
            }
        }
        return found
    }
}

/// Names of signers: a domain and a path under it.
enum SignerNames {
    static func validate(_ name: String, _ path: String) -> [FieldError] {
        if name.isEmpty { return [.required(path)] }
        let segments = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard segments.count == 2 else {
            return [
                .invalid(
                    path, Document(name),
                    "must be a fully qualified domain and path of the form 'example.com/signer-name'")
            ]
        }
        let (domain, rest) = (segments[0], segments[1])
        var errors: [FieldError] = domain.utf8.count > 253 ? [.tooLong(path, limit: 253)] : []
        let labels = domain.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if let wrong = labels.first(where: { !Formats.dnsLabel($0).isEmpty }) {
            errors += Formats.dnsLabel(wrong).map {
                .invalid(path, Document(domain), "validating label \(Document(wrong).jsonText): \($0)")
            }
        }
        if labels.count < 2 {
            errors.append(
                .invalid(
                    path, Document(domain), "should be a domain with at least two segments separated by dots"))
        }
        let parts = rest.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if let wrong = parts.first(where: { !Formats.dnsSubdomain($0).isEmpty }) {
            errors += Formats.dnsSubdomain(wrong).map {
                .invalid(path, Document(rest), "validating label \(Document(wrong).jsonText): \($0)")
            }
        }
        // A domain, a namespace, a name, and the two signs between them.
        let limit = 253 + 63 + 253 + 2
        if name.utf8.count > limit { errors.append(.tooLong(path, limit: limit)) }
        return errors
    }
}
