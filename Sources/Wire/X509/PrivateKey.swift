import COpenSSL

/// A memory BIO's content, and the way to fill one.
enum MemoryBIO {
    static func bytes(_ body: (OpaquePointer) -> Bool, _ operation: String) throws(OpenSSLError) -> [UInt8] {
        guard let bio = BIO_new(BIO_s_mem()) else { throw OpenSSLError("BIO_new") }
        defer { BIO_free(bio) }
        guard body(bio) else { throw OpenSSLError(operation) }
        var start: UnsafeMutablePointer<CChar>?
        let count = lab_bio_bytes(bio, &start)
        guard let start, count > 0 else { return [] }
        return start.withMemoryRebound(to: UInt8.self, capacity: count) {
            Array(UnsafeBufferPointer(start: $0, count: count))
        }
    }

    static func reading<T>(_ bytes: [UInt8], _ body: (OpaquePointer) -> T?) -> T? {
        bytes.withUnsafeBytes { raw in
            guard let bio = BIO_new_mem_buf(raw.baseAddress, Int32(clamping: raw.count)) else { return nil }
            defer { BIO_free(bio) }
            return body(bio)
        }
    }
}

/// A private key, EC P-256 or RSA. Immutable, so threads may share it.
public final class PrivateKey: @unchecked Sendable {
    let pointer: OpaquePointer

    private init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { EVP_PKEY_free(pointer) }

    /// A new P-256 key.
    public static func generate() throws(OpenSSLError) -> PrivateKey {
        guard let key = lab_new_p256_key() else { throw OpenSSLError("generate P-256 key") }
        return PrivateKey(owning: key)
    }

    public static func generateRSA(bits: Int = 2048) throws(OpenSSLError) -> PrivateKey {
        guard let key = lab_new_rsa_key(UInt32(bits)) else { throw OpenSSLError("generate RSA key") }
        return PrivateKey(owning: key)
    }

    public init(pem: [UInt8]) throws(OpenSSLError) {
        ERR_clear_error()
        guard let key = MemoryBIO.reading(pem, { PEM_read_bio_PrivateKey($0, nil, nil, nil) }) else {
            throw OpenSSLError("read private key")
        }
        pointer = key
    }

    /// PKCS#8, which everybody reads.
    public var pem: [UInt8] {
        get throws(OpenSSLError) {
            try MemoryBIO.bytes(
                { PEM_write_bio_PrivateKey($0, pointer, nil, nil, 0, nil, nil) == 1 }, "write private key")
        }
    }

    public func publicKey() throws(OpenSSLError) -> PublicKey { try PublicKey(pem: publicPEM()) }

    public func publicPEM() throws(OpenSSLError) -> [UInt8] {
        try MemoryBIO.bytes({ PEM_write_bio_PUBKEY($0, pointer) == 1 }, "write public key")
    }

    public var isRSA: Bool { EVP_PKEY_get_base_id(pointer) == EVP_PKEY_RSA }

    /// A SHA-256 signature as JOSE wants it: PKCS#1 for RSA (RS256), `r` and `s` side by side for EC (ES256).
    public func sign(_ message: [UInt8]) throws(OpenSSLError) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw OpenSSLError("sign") }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, pointer) == 1 else { throw OpenSSLError("sign") }
        var length = Int(EVP_PKEY_get_size(pointer))
        var signature = [UInt8](repeating: 0, count: length)
        guard EVP_DigestSign(context, &signature, &length, message, message.count) == 1 else {
            throw OpenSSLError("sign")
        }
        signature.removeLast(signature.count - length)
        return isRSA ? signature : try JOSE.rawSignature(der: signature)
    }
}

public final class PublicKey: @unchecked Sendable {
    let pointer: OpaquePointer

    /// A public key, or the key of a certificate or private key, in PEM.
    public init(pem: [UInt8]) throws(OpenSSLError) {
        ERR_clear_error()
        guard let key = MemoryBIO.reading(pem, { PEM_read_bio_PUBKEY($0, nil, nil, nil) }) else {
            throw OpenSSLError("read public key")
        }
        pointer = key
    }

    deinit { EVP_PKEY_free(pointer) }

    public var isRSA: Bool { EVP_PKEY_get_base_id(pointer) == EVP_PKEY_RSA }

    public func der() throws(OpenSSLError) -> [UInt8] {
        try MemoryBIO.bytes({ i2d_PUBKEY_bio($0, pointer) == 1 }, "write public key")
    }

    /// Whether `signature` is what `PrivateKey.sign` made of `message`.
    public func verify(_ message: [UInt8], signature: [UInt8]) -> Bool {
        guard let context = EVP_MD_CTX_new(), let der = isRSA ? signature : JOSE.derSignature(raw: signature) else {
            return false
        }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        return EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, pointer) == 1
            && EVP_DigestVerify(context, der, der.count, message, message.count) == 1
    }

    /// The affine coordinates of an EC point, for a JSON web key.
    public func coordinates() -> (x: [UInt8], y: [UInt8])? {
        func part(_ name: String) -> [UInt8]? {
            var number: OpaquePointer?
            guard EVP_PKEY_get_bn_param(pointer, name, &number) == 1, let number else { return nil }
            defer { BN_free(number) }
            var bytes = [UInt8](repeating: 0, count: 32)
            return BN_bn2binpad(number, &bytes, 32) == 32 ? bytes : nil
        }
        guard !isRSA, let x = part("qx"), let y = part("qy") else { return nil }
        return (x, y)
    }

    /// The modulus and exponent of an RSA key, for a JSON web key.
    public func modulusAndExponent() -> (n: [UInt8], e: [UInt8])? {
        func part(_ name: String) -> [UInt8]? {
            var number: OpaquePointer?
            guard EVP_PKEY_get_bn_param(pointer, name, &number) == 1, let number else { return nil }
            defer { BN_free(number) }
            var bytes = [UInt8](repeating: 0, count: Int(BN_num_bits(number) + 7) / 8)
            return BN_bn2bin(number, &bytes) == bytes.count ? bytes : nil
        }
        guard isRSA, let n = part("n"), let e = part("e") else { return nil }
        return (n, e)
    }
}

/// JOSE writes an ECDSA signature as 32 bytes `r` and 32 bytes `s`; OpenSSL as a DER sequence.
enum JOSE {
    static func rawSignature(der: [UInt8]) throws(OpenSSLError) -> [UInt8] {
        let parsed: OpaquePointer? = der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            return d2i_ECDSA_SIG(nil, &cursor, buffer.count)
        }
        guard let parsed else { throw OpenSSLError("read signature") }
        defer { ECDSA_SIG_free(parsed) }
        var raw = [UInt8](repeating: 0, count: 64)
        let complete = raw.withUnsafeMutableBufferPointer { buffer -> Bool in
            guard let base = buffer.baseAddress else { return false }
            return BN_bn2binpad(ECDSA_SIG_get0_r(parsed), base, 32) == 32
                && BN_bn2binpad(ECDSA_SIG_get0_s(parsed), base + 32, 32) == 32
        }
        guard complete else { throw OpenSSLError("read signature") }
        return raw
    }

    static func derSignature(raw: [UInt8]) -> [UInt8]? {
        guard raw.count == 64, let signature = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(signature) }
        let r = BN_bin2bn(Array(raw[0..<32]), 32, nil)
        let s = BN_bin2bn(Array(raw[32..<64]), 32, nil)
        guard r != nil, s != nil, ECDSA_SIG_set0(signature, r, s) == 1 else {
            BN_free(r)
            BN_free(s)
            return nil
        }
        let length = i2d_ECDSA_SIG(signature, nil)
        guard length > 0 else { return nil }
        return [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
            var cursor = buffer.baseAddress
            count = max(0, Int(i2d_ECDSA_SIG(signature, &cursor)))
        }
    }
}
