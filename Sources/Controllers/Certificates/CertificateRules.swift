import Basics
import Document
import Wire

/// What the signers of Kubernetes ask of a request before they sign it.
enum CertificateRules {
    static let kubeletServing = "kubernetes.io/kubelet-serving"
    static let kubeletClient = "kubernetes.io/kube-apiserver-client-kubelet"
    static let apiClient = "kubernetes.io/kube-apiserver-client"
    static let legacyUnknown = "kubernetes.io/legacy-unknown"

    struct Refusal: Error, Equatable { var message: String }

    static func isTrue(_ request: Document, _ type: String) -> Bool {
        request.list("status", "conditions").contains {
            $0.text("type") == type && ($0.text("status") ?? "True") == "True"
        }
    }

    static func isIssued(_ request: Document) -> Bool { !(request.text("status", "certificate") ?? "").isEmpty }

    static func parse(_ request: Document) throws -> CertificateRequest {
        guard let pem = Base64.decode(request.text("spec", "request") ?? "") else {
            throw Refusal(message: "unable to parse csr \"\(request.name)\": it is not base64")
        }
        return try CertificateRequest(pem: pem)
    }

    static func usages(_ request: Document) -> Set<String> {
        Set(request.list("spec", "usages").compactMap(\.string))
    }

    /// Throws why the signer named in the request will not sign it.
    static func check(_ parsed: CertificateRequest, _ usages: Set<String>, signer: String) throws(Refusal) {
        switch signer {
        case kubeletServing: try checkKubelet(parsed, usages, purpose: "server auth")
        case kubeletClient: try checkKubelet(parsed, usages, purpose: "client auth")
        case apiClient:
            let known: Set = ["digital signature", "key encipherment", "client auth"]
            if let other = usages.subtracting(known).min() {
                throw Refusal(message: "invalid usage for client certificate: \(other)")
            }
            if !usages.contains("client auth") {
                throw Refusal(message: "missing required usage for client certificate: client auth")
            }
        default: break
        }
    }

    private static func checkKubelet(
        _ parsed: CertificateRequest, _ usages: Set<String>, purpose: String
    ) throws(Refusal) {
        let isServing = purpose == "server auth"
        if parsed.organizations != ["system:nodes"] {
            throw Refusal(message: "subject organization is not system:nodes")
        }
        if isServing, parsed.dnsNames.isEmpty, parsed.ipAddresses.isEmpty {
            throw Refusal(message: "DNS or IP subjectAltName is required")
        }
        if !isServing, !parsed.dnsNames.isEmpty { throw Refusal(message: "DNS subjectAltNames are not allowed") }
        if !isServing, !parsed.ipAddresses.isEmpty { throw Refusal(message: "IP subjectAltNames are not allowed") }
        let hasUsages =
            usages == ["digital signature", "key encipherment", purpose] || usages == ["digital signature", purpose]
        if isServing, !hasUsages { throw usageRefusal(purpose) }
        if !parsed.commonName.hasPrefix("system:node:") {
            throw Refusal(message: "subject common name does not begin with system:node:")
        }
        if !hasUsages { throw usageRefusal(purpose) }
    }

    private static func usageRefusal(_ purpose: String) -> Refusal {
        let wanted = ["digital signature", "key encipherment", purpose].sorted().joined(separator: " ")
        return Refusal(message: "usages did not match [\(wanted)]")
    }

    /// How certificates write the purposes that requests name.
    static let keyUsages = [
        "signing": "digitalSignature", "digital signature": "digitalSignature",
        "content commitment": "nonRepudiation", "key encipherment": "keyEncipherment",
        "key agreement": "keyAgreement", "data encipherment": "dataEncipherment", "cert sign": "keyCertSign",
        "crl sign": "cRLSign", "encipher only": "encipherOnly", "decipher only": "decipherOnly",
    ]
    static let extendedUsages = [
        "any": "anyExtendedKeyUsage", "server auth": "serverAuth", "client auth": "clientAuth",
        "code signing": "codeSigning", "email protection": "emailProtection", "s/mime": "emailProtection",
        "ipsec end system": "ipsecEndSystem", "ipsec tunnel": "ipsecTunnel", "ipsec user": "ipsecUser",
        "timestamping": "timeStamping", "ocsp signing": "OCSPSigning", "microsoft sgc": "msSGC",
        "netscape sgc": "nsSGC",
    ]
}
