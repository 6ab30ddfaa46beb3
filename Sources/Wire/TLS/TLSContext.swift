import Basics
import COpenSSL
import Synchronization

/// An `SSL_CTX`, which OpenSSL shares safely between threads once it is set up.
final class SSLContext: @unchecked Sendable {
    let pointer: OpaquePointer

    init(_ method: OpaquePointer?) throws(OpenSSLError) {
        guard let pointer = SSL_CTX_new(method) else { throw OpenSSLError("SSL_CTX_new") }
        self.pointer = pointer
    }

    deinit { SSL_CTX_free(pointer) }

    func use(certificatePEM: [UInt8], keyPEM: [UInt8]) throws(OpenSSLError) {
        let chain = try X509Certificate.parseAll(pem: certificatePEM)
        guard let leaf = chain.first else {
            throw OpenSSLError("load certificate", detail: "the PEM text holds no certificate")
        }
        let key = try PrivateKey(pem: keyPEM)
        guard SSL_CTX_use_certificate(pointer, leaf.pointer) == 1 else { throw OpenSSLError("use certificate") }
        for issuer in chain.dropFirst() {
            guard lab_ssl_ctx_add_chain_certificate(pointer, issuer.pointer) == 1 else {
                throw OpenSSLError("use certificate chain")
            }
        }
        guard SSL_CTX_use_PrivateKey(pointer, key.pointer) == 1, SSL_CTX_check_private_key(pointer) == 1 else {
            throw OpenSSLError("use private key")
        }
    }

    func trust(caPEM: [UInt8]) throws(OpenSSLError) -> [X509Certificate] {
        let authorities = try X509Certificate.parseAll(pem: caPEM)
        let store = SSL_CTX_get_cert_store(pointer)
        for authority in authorities {
            guard X509_STORE_add_cert(store, authority.pointer) == 1 else { throw OpenSSLError("trust certificate") }
        }
        return authorities
    }
}

/// What a TLS server shows and whom it believes. `reload` takes effect for connections made from then on.
public final class TLSServerContext: Sendable {
    private let context: Mutex<SSLContext>

    /// With `clientCAPEM`, clients are asked for a certificate. None, or one that this authority did not
    /// issue, is no reason to hang up: the connection then simply has no `peerCertificate`.
    public init(certificatePEM: [UInt8], keyPEM: [UInt8], clientCAPEM: [UInt8]? = nil) throws(OpenSSLError) {
        context = Mutex(try Self.make(certificatePEM, keyPEM, clientCAPEM))
    }

    public func reload(certificatePEM: [UInt8], keyPEM: [UInt8], clientCAPEM: [UInt8]? = nil) throws(OpenSSLError) {
        let fresh = try Self.make(certificatePEM, keyPEM, clientCAPEM)
        context.withLock { $0 = fresh }
    }

    private static func make(_ certificatePEM: [UInt8], _ keyPEM: [UInt8], _ clientCAPEM: [UInt8]?)
        throws(OpenSSLError) -> SSLContext
    {
        let context = try SSLContext(TLS_server_method())
        lab_ssl_ctx_server(context.pointer, clientCAPEM == nil ? 0 : 1)
        try context.use(certificatePEM: certificatePEM, keyPEM: keyPEM)
        if let clientCAPEM {
            for authority in try context.trust(caPEM: clientCAPEM) {
                // The names sent to clients, by which they choose among their certificates.
                SSL_CTX_add_client_CA(context.pointer, authority.pointer)
            }
        }
        return context
    }

    /// Shakes hands over `connection`, which belongs to the result from then on.
    /// - early: what has been read from it already.
    public func accept(_ connection: any Connection, early: [UInt8] = []) async throws -> TLSConnection {
        let engine = try TLSEngine(context.withLock { $0 }, server: true)
        if !early.isEmpty { engine.feed(early) }
        let stream = TLSConnection(engine, over: connection)
        try await stream.handshake()
        return stream
    }
}

/// Whom a TLS client believes and who it is.
public final class TLSClientContext: Sendable {
    private let context: SSLContext
    private let verify: Bool
    /// The latest session of each server name, for a cheaper handshake next time.
    private let sessions = Mutex<[String: TLSSession]>([:])
    private static let sessionLimit = 256

    /// - caPEM: the authorities trusted; nil trusts everyone, which only a tool that was told so may do.
    public init(caPEM: [UInt8]?, certificatePEM: [UInt8]? = nil, keyPEM: [UInt8]? = nil) throws(OpenSSLError) {
        context = try SSLContext(TLS_client_method())
        verify = caPEM != nil
        lab_ssl_ctx_client(context.pointer, verify ? 1 : 0)
        if let caPEM { _ = try context.trust(caPEM: caPEM) }
        if let certificatePEM, let keyPEM { try context.use(certificatePEM: certificatePEM, keyPEM: keyPEM) }
    }

    /// Trusts the authorities of the system's bundle file, as for public registries.
    public init(systemAuthorities file: String) throws(OpenSSLError) {
        context = try SSLContext(TLS_client_method())
        verify = true
        lab_ssl_ctx_client(context.pointer, 1)
        guard SSL_CTX_load_verify_locations(context.pointer, file, nil) == 1 else {
            throw OpenSSLError("load \(file)")
        }
    }

    /// Shakes hands with the server `name`, a DNS name or an IP address, which its certificate must carry.
    public func connect(_ connection: any Connection, serverName name: String) async throws -> TLSConnection {
        let engine = try TLSEngine(context, server: false)
        try engine.setServer(name, verify: verify, session: sessions.withLock { $0[name] })
        let stream = TLSConnection(
            engine, over: connection,
            onSession: { [self] session in
                sessions.withLock { sessions in
                    if sessions.count >= Self.sessionLimit { sessions.removeAll() }
                    sessions[name] = session
                }
            })
        do {
            try await stream.handshake()
        } catch {
            _ = sessions.withLock { $0.removeValue(forKey: name) }
            throw error
        }
        return stream
    }
}

/// A session that can be resumed.
final class TLSSession: @unchecked Sendable {
    let pointer: OpaquePointer
    init(owning pointer: OpaquePointer) { self.pointer = pointer }
    deinit { SSL_SESSION_free(pointer) }
}
