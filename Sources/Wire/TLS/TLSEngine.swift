import Basics
import COpenSSL

/// One TLS connection as a machine without I/O: ciphertext in and out through memory, plaintext in and out by calls.
/// Not safe for two threads at once; its owner holds a lock.
final class TLSEngine: @unchecked Sendable {
    enum Progress {
        /// More ciphertext from the peer is needed.
        case needsInput
        case done
    }

    enum Input {
        case bytes([UInt8])
        case needsInput
        /// The peer has said that it sends no more.
        case end
    }

    private let ssl: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private let server: Bool
    private let context: SSLContext

    init(_ context: SSLContext, server: Bool) throws(OpenSSLError) {
        self.context = context
        self.server = server
        guard let ssl = SSL_new(context.pointer) else { throw OpenSSLError("SSL_new") }
        guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            throw OpenSSLError("BIO_new")
        }
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        SSL_set_bio(ssl, incoming, outgoing)
        if server { SSL_set_accept_state(ssl) } else { SSL_set_connect_state(ssl) }
    }

    deinit {
        // Without a farewell OpenSSL takes the session for compromised and never resumes it.
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        SSL_free(ssl)
    }

    func setServer(_ name: String, verify: Bool, session: TLSSession?) throws(OpenSSLError) {
        if IPAddress(name) != nil {
            // Addresses never go into SNI.
            if verify, X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) != 1 {
                throw OpenSSLError("check for \(name)")
            }
        } else {
            guard lab_ssl_set_server_name(ssl, name) == 1 else { throw OpenSSLError("server name \(name)") }
            if verify, SSL_set1_host(ssl, name) != 1 { throw OpenSSLError("check for \(name)") }
        }
        if let session { SSL_set_session(ssl, session.pointer) }
    }

    func handshake() throws(OpenSSLError) -> Progress {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 { return .done }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .needsInput
        default:
            let verdict = SSL_get_verify_result(ssl)
            if !server, verdict != Int(X509_V_OK) {
                ERR_clear_error()
                throw OpenSSLError(
                    "TLS handshake", detail: String(cString: X509_verify_cert_error_string(verdict)))
            }
            throw OpenSSLError("TLS handshake")
        }
    }

    func feed(_ ciphertext: [UInt8]) {
        // A memory BIO takes everything it is given.
        _ = ciphertext.withUnsafeBytes { BIO_write(incoming, $0.baseAddress, Int32($0.count)) }
    }

    /// Ciphertext for the peer; empty when there is none.
    func drain() -> [UInt8] {
        let pending = lab_bio_pending(outgoing)
        guard pending > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: pending) { buffer, count in
            count = max(0, Int(BIO_read(outgoing, buffer.baseAddress, Int32(pending))))
        }
    }

    func read(atMost limit: Int) throws(OpenSSLError) -> Input {
        ERR_clear_error()
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: min(limit, 16 << 10)) { buffer, count in
            let got = SSL_read(ssl, buffer.baseAddress, Int32(buffer.count))
            count = max(0, Int(got))
            if got <= 0 { failure = SSL_get_error(ssl, got) }
        }
        if !bytes.isEmpty { return .bytes(bytes) }
        switch failure {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .needsInput
        case SSL_ERROR_ZERO_RETURN: return .end
        default: throw OpenSSLError("TLS read")
        }
    }

    /// Encrypts all of `bytes`; the ciphertext waits for `drain`.
    func write(_ bytes: UnsafeRawBufferPointer) throws(OpenSSLError) {
        ERR_clear_error()
        var sent = 0
        while sent < bytes.count {
            guard let base = bytes.baseAddress else { return }
            let count = SSL_write(ssl, base + sent, Int32(clamping: bytes.count - sent))
            guard count > 0 else { throw OpenSSLError("TLS write") }
            sent += Int(count)
        }
    }

    func shutdown() {
        ERR_clear_error()
        // The answer that the peer owes us is not waited for.
        _ = SSL_shutdown(ssl)
        ERR_clear_error()
    }

    /// The peer's certificate in DER, where it presented one that verifies.
    func verifiedPeerCertificate() -> [UInt8]? {
        guard SSL_get_verify_result(ssl) == Int(X509_V_OK), let raw = SSL_get1_peer_certificate(ssl) else { return nil }
        return X509Certificate(owning: raw).der
    }

    var isResumed: Bool { SSL_session_reused(ssl) == 1 }

    func resumableSession() -> TLSSession? {
        guard !server, let session = SSL_get1_session(ssl) else { return nil }
        let wrapped = TLSSession(owning: session)
        return SSL_SESSION_is_resumable(session) == 1 ? wrapped : nil
    }
}
