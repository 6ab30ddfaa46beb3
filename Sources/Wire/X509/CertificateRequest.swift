import Basics
import COpenSSL

extension CertificateRequest {
    /// Reads a PKCS#10 request in PEM and checks that its sender holds the key.
    public init(pem: [UInt8]) throws(OpenSSLError) {
        ERR_clear_error()
        guard let request = MemoryBIO.reading(pem, { PEM_read_bio_X509_REQ($0, nil, nil, nil) }) else {
            throw OpenSSLError("read certificate request")
        }
        defer { X509_REQ_free(request) }
        guard let key = X509_REQ_get0_pubkey(request), X509_REQ_verify(request, key) == 1 else {
            throw OpenSSLError("verify certificate request")
        }
        // A certificate with the request's subject and names lets one reader serve both.
        guard let carrier = X509_new() else { throw OpenSSLError("X509_new") }
        let certificate = X509Certificate(owning: carrier)
        guard X509_set_subject_name(carrier, X509_REQ_get_subject_name(request)) == 1 else {
            throw OpenSSLError("read certificate request")
        }
        if let extensions = X509_REQ_get_extensions(request) {
            defer { lab_free_extensions(extensions) }
            guard lab_copy_extensions(carrier, extensions) == 1 else { throw OpenSSLError("read certificate request") }
        }
        commonName = certificate.commonName ?? ""
        organizations = certificate.organizations
        (dnsNames, ipAddresses) = certificate.alternativeNames
        publicKeyPEM = try MemoryBIO.bytes({ PEM_write_bio_PUBKEY($0, key) == 1 }, "write public key")
    }

    /// A request in PEM, signed by `key`.
    public static func make(commonName: String, organizations: [String] = [], key: PrivateKey) throws(OpenSSLError)
        -> [UInt8]
    {
        guard let request = X509_REQ_new() else { throw OpenSSLError("X509_REQ_new") }
        defer { X509_REQ_free(request) }
        guard let name = X509_NAME_new() else { throw OpenSSLError("X509_NAME_new") }
        defer { X509_NAME_free(name) }
        for (nid, text) in organizations.map({ (NID_organizationName, $0) }) + [(NID_commonName, commonName)] {
            let bytes = Array(text.utf8)
            guard X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0) == 1 else {
                throw OpenSSLError("certificate subject \(text)")
            }
        }
        guard X509_REQ_set_subject_name(request, name) == 1, X509_REQ_set_pubkey(request, key.pointer) == 1,
            X509_REQ_sign(request, key.pointer, EVP_sha256()) > 0
        else { throw OpenSSLError("sign certificate request") }
        return try MemoryBIO.bytes({ PEM_write_bio_X509_REQ($0, request) == 1 }, "write certificate request")
    }
}

extension X509Certificate {
    /// The DNS names and IP addresses that the certificate speaks for.
    public var alternativeNames: (dnsNames: [String], ipAddresses: [IPAddress]) {
        guard let names = lab_alternative_names(pointer) else { return ([], []) }
        defer { lab_free_alternative_names(names) }
        var result: (dnsNames: [String], ipAddresses: [IPAddress]) = ([], [])
        var index: Int32 = 0
        var bytes: UnsafePointer<UInt8>?
        var length: Int32 = 0
        while true {
            let kind = lab_alternative_name(names, index, &bytes, &length)
            guard kind >= 0 else { return result }
            index += 1
            let value = UnsafeBufferPointer(start: bytes, count: Int(length))
            if kind == GEN_DNS {
                result.dnsNames.append(String(decoding: value, as: UTF8.self))
            } else if kind == GEN_IPADD, let address = IPAddress(bytes: value) {
                result.ipAddresses.append(address)
            }
        }
    }
}
