import Basics
import COpenSSL

/// A parsed certificate. Immutable, so threads may share it.
public final class X509Certificate: @unchecked Sendable {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { X509_free(pointer) }

    public convenience init(der: [UInt8]) throws(OpenSSLError) {
        ERR_clear_error()
        let parsed: OpaquePointer? = der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            return d2i_X509(nil, &cursor, buffer.count)
        }
        guard let parsed else { throw OpenSSLError("read certificate") }
        self.init(owning: parsed)
    }

    /// Every certificate in the text, in order; empty where it holds none.
    public static func parseAll(pem: [UInt8]) throws(OpenSSLError) -> [X509Certificate] {
        ERR_clear_error()
        let certificates: [X509Certificate] =
            MemoryBIO.reading(pem) { bio in
                var found: [X509Certificate] = []
                while let next = PEM_read_bio_X509(bio, nil, nil, nil) { found.append(X509Certificate(owning: next)) }
                return found
            } ?? []
        // Running out of text is how the loop ends; any other reason is a broken certificate.
        let last = ERR_peek_last_error()
        if last != 0, ERR_GET_REASON(last) != PEM_R_NO_START_LINE { throw OpenSSLError("read certificates") }
        ERR_clear_error()
        return certificates
    }

    public var der: [UInt8] {
        let length = i2d_X509(pointer, nil)
        guard length > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
            var cursor = buffer.baseAddress
            count = max(0, Int(i2d_X509(pointer, &cursor)))
        }
    }

    public func pem() throws(OpenSSLError) -> [UInt8] {
        try MemoryBIO.bytes({ PEM_write_bio_X509($0, pointer) == 1 }, "write certificate")
    }

    /// The subject's CN: a user's name to Kubernetes.
    public var commonName: String? { subject(NID_commonName).first }
    /// The subject's Os: a user's groups to Kubernetes.
    public var organizations: [String] { subject(NID_organizationName) }

    private func subject(_ nid: Int32) -> [String] {
        guard let name = X509_get_subject_name(pointer) else { return [] }
        var values: [String] = []
        var index: Int32 = -1
        while true {
            index = X509_NAME_get_index_by_NID(name, nid, index)
            guard index >= 0 else { return values }
            var utf8: UnsafeMutablePointer<UInt8>?
            let data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index))
            let length = ASN1_STRING_to_UTF8(&utf8, data)
            guard length >= 0, let utf8 else { continue }
            values.append(String(decoding: UnsafeBufferPointer(start: utf8, count: Int(length)), as: UTF8.self))
            CRYPTO_free(utf8, #file, #line)
        }
    }

    public var notBefore: Timestamp? { Self.time(X509_get0_notBefore(pointer)) }
    public var notAfter: Timestamp? { Self.time(X509_get0_notAfter(pointer)) }

    private static func time(_ raw: UnsafePointer<ASN1_TIME>?) -> Timestamp? {
        var days: Int32 = 0
        var seconds: Int32 = 0
        guard let epoch = ASN1_TIME_set(nil, 0) else { return nil }
        defer { ASN1_STRING_free(epoch) }
        guard ASN1_TIME_diff(&days, &seconds, epoch, raw) == 1 else { return nil }
        return Timestamp(seconds: Int64(days) * 86_400 + Int64(seconds))
    }

    public func publicKey() throws(OpenSSLError) -> PublicKey {
        guard let key = X509_get0_pubkey(pointer) else { throw OpenSSLError("read certificate's key") }
        return try PublicKey(pem: MemoryBIO.bytes({ PEM_write_bio_PUBKEY($0, key) == 1 }, "write public key"))
    }
}
