import Basics
import COpenSSL

/// A certificate and its key, both in PEM.
public struct IssuedCertificate: Sendable, Equatable {
    public var certificatePEM: [UInt8]
    public var keyPEM: [UInt8]

    public init(certificatePEM: [UInt8], keyPEM: [UInt8]) {
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
    }
}

/// A certificate signing request, as the `certificates.k8s.io` API carries it.
public struct CertificateRequest: Sendable {
    public let commonName: String
    public let organizations: [String]
    public let dnsNames: [String]
    public let ipAddresses: [IPAddress]
    let publicKeyPEM: [UInt8]
}

/// Makes certificates. Serial numbers and keys come from OpenSSL's own generator: they have to be unguessable,
/// and nothing decides by their value.
public final class CertificateAuthority: Sendable {
    /// What the holder may do with a certificate.
    public struct Usage: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }

        public static let server = Usage(rawValue: 1)
        public static let client = Usage(rawValue: 2)
    }

    public let certificatePEM: [UInt8]
    public let keyPEM: [UInt8]
    private let certificate: X509Certificate
    private let key: PrivateKey

    public init(certificatePEM: [UInt8], keyPEM: [UInt8]) throws(OpenSSLError) {
        guard let certificate = try X509Certificate.parseAll(pem: certificatePEM).first else {
            throw OpenSSLError("load authority", detail: "the PEM text holds no certificate")
        }
        key = try PrivateKey(pem: keyPEM)
        guard X509_check_private_key(certificate.pointer, key.pointer) == 1 else {
            throw OpenSSLError("load authority")
        }
        self.certificate = certificate
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
    }

    /// A new self-signed authority. `now` is the injected clock's; a little earlier forgives clocks that differ.
    public static func create(commonName: String, now: Timestamp, validity: Duration) throws(OpenSSLError)
        -> CertificateAuthority
    {
        let key = try PrivateKey.generate()
        var draft = try CertificateDraft(commonName: commonName, organizations: [], validity: validity, now: now)
        try draft.setKey(key.pointer)
        try draft.add(NID_basic_constraints, "critical,CA:TRUE")
        try draft.add(NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign")
        try draft.add(NID_subject_key_identifier, "hash")
        let certificate = try draft.sign(key: key)
        return try CertificateAuthority(certificatePEM: certificate.pem(), keyPEM: key.pem)
    }

    /// A certificate for a new P-256 key.
    public func issue(
        commonName: String, organizations: [String] = [], dnsNames: [String] = [], ipAddresses: [IPAddress] = [],
        usage: Usage, now: Timestamp, validity: Duration
    ) throws(OpenSSLError) -> IssuedCertificate {
        let key = try PrivateKey.generate()
        let certificate = try issue(
            key.pointer, commonName, organizations, dnsNames, ipAddresses, usage, validity, now)
        return IssuedCertificate(certificatePEM: try certificate.pem(), keyPEM: try key.pem)
    }

    /// A certificate for the key of a signing request, with the request's names. The caller has approved them.
    public func sign(_ request: CertificateRequest, usage: Usage, now: Timestamp, validity: Duration)
        throws(OpenSSLError) -> [UInt8]
    {
        let key = try PublicKey(pem: request.publicKeyPEM)
        return try issue(
            key.pointer, request.commonName, request.organizations, request.dnsNames, request.ipAddresses, usage,
            validity, now
        ).pem()
    }

    /// As `sign`, with exactly these purposes, as OpenSSL names them.
    public func sign(
        _ request: CertificateRequest, keyUsages: [String], extendedUsages: [String], now: Timestamp,
        validity: Duration
    ) throws(OpenSSLError) -> [UInt8] {
        let key = try PublicKey(pem: request.publicKeyPEM)
        return try issue(
            key.pointer, request.commonName, request.organizations, request.dnsNames, request.ipAddresses, keyUsages,
            extendedUsages, validity, now
        ).pem()
    }

    private func issue(
        _ key: OpaquePointer, _ commonName: String, _ organizations: [String], _ dnsNames: [String],
        _ ipAddresses: [IPAddress], _ usage: Usage, _ validity: Duration, _ now: Timestamp
    ) throws(OpenSSLError) -> X509Certificate {
        let purposes = (usage.contains(.server) ? ["serverAuth"] : []) + (usage.contains(.client) ? ["clientAuth"] : [])
        return try issue(
            key, commonName, organizations, dnsNames, ipAddresses, ["digitalSignature", "keyEncipherment"], purposes,
            validity, now)
    }

    private func issue(
        _ key: OpaquePointer, _ commonName: String, _ organizations: [String], _ dnsNames: [String],
        _ ipAddresses: [IPAddress], _ keyUsages: [String], _ purposes: [String], _ validity: Duration,
        _ now: Timestamp
    ) throws(OpenSSLError) -> X509Certificate {
        var draft = try CertificateDraft(
            commonName: commonName, organizations: organizations, validity: validity, now: now)
        try draft.setKey(key)
        try draft.setIssuer(certificate)
        try draft.add(NID_basic_constraints, "critical,CA:FALSE")
        if !keyUsages.isEmpty { try draft.add(NID_key_usage, "critical," + keyUsages.joined(separator: ",")) }
        if !purposes.isEmpty { try draft.add(NID_ext_key_usage, purposes.joined(separator: ",")) }
        try draft.add(NID_subject_key_identifier, "hash")
        try draft.add(NID_authority_key_identifier, "keyid:always")
        for name in dnsNames {
            guard name.utf8.allSatisfy({ HTTPHeadReader.isToken($0) }) else {
                throw OpenSSLError("issue certificate", detail: "\(name) is no DNS name")
            }
        }
        let names = dnsNames.map { "DNS:\($0)" } + ipAddresses.map { "IP:\($0)" }
        if !names.isEmpty { try draft.add(NID_subject_alt_name, names.joined(separator: ",")) }
        return try draft.sign(key: self.key)
    }
}

/// A certificate in the making.
private struct CertificateDraft {
    private let holder: X509Certificate
    let certificate: OpaquePointer
    private var issuer: OpaquePointer

    init(commonName: String, organizations: [String], validity: Duration, now: Timestamp) throws(OpenSSLError) {
        ERR_clear_error()
        guard let certificate = X509_new() else { throw OpenSSLError("X509_new") }
        self.certificate = certificate
        holder = X509Certificate(owning: certificate)
        issuer = certificate
        guard let subject = X509_get_subject_name(certificate) else { throw OpenSSLError("certificate subject") }
        // One attribute after the other in one set each, in the order in which Go writes them.
        for organization in organizations { try Self.add(organization, NID_organizationName, to: subject) }
        try Self.add(commonName, NID_commonName, to: subject)
        var serial = [UInt8](repeating: 0, count: 16)
        guard X509_set_version(certificate, 2) == 1, RAND_bytes(&serial, 16) == 1 else {
            throw OpenSSLError("certificate serial")
        }
        serial[0] &= 0x7F
        guard let number = BN_bin2bn(serial, 16, nil) else { throw OpenSSLError("certificate serial") }
        defer { BN_free(number) }
        guard BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil,
            ASN1_TIME_set(X509_getm_notBefore(certificate), Int(now.seconds - 300)) != nil,
            ASN1_TIME_set(X509_getm_notAfter(certificate), Int(now.seconds + validity.wholeSeconds)) != nil,
            X509_set_issuer_name(certificate, subject) == 1
        else { throw OpenSSLError("certificate validity") }
    }

    private static func add(_ text: String, _ nid: Int32, to name: OpaquePointer) throws(OpenSSLError) {
        let bytes = Array(text.utf8)
        guard
            X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0) == 1
        else { throw OpenSSLError("certificate subject \(text)") }
    }

    mutating func setKey(_ key: OpaquePointer) throws(OpenSSLError) {
        guard X509_set_pubkey(certificate, key) == 1 else { throw OpenSSLError("certificate key") }
    }

    mutating func setIssuer(_ authority: X509Certificate) throws(OpenSSLError) {
        issuer = authority.pointer
        guard X509_set_issuer_name(certificate, X509_get_subject_name(authority.pointer)) == 1 else {
            throw OpenSSLError("certificate issuer")
        }
    }

    mutating func add(_ nid: Int32, _ value: String) throws(OpenSSLError) {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer, certificate, nil, nil, 0)
        guard let `extension` = X509V3_EXT_conf_nid(nil, &context, nid, value) else {
            throw OpenSSLError("certificate extension \(value)")
        }
        defer { X509_EXTENSION_free(`extension`) }
        guard X509_add_ext(certificate, `extension`, -1) == 1 else {
            throw OpenSSLError("certificate extension \(value)")
        }
    }

    func sign(key: PrivateKey) throws(OpenSSLError) -> X509Certificate {
        guard X509_sign(certificate, key.pointer, EVP_sha256()) > 0 else { throw OpenSSLError("sign certificate") }
        return holder
    }
}
