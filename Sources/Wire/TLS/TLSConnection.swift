import Basics
import Synchronization

/// TLS around any connection.
///
/// One task may read while another writes. Only the writer hands ciphertext to the transport, except during the
/// handshake, when there is no writer yet: what reading makes OpenSSL want to say waits for the next write.
public final class TLSConnection: Connection {
    private let engine: Mutex<TLSEngine>
    private let transport: any Connection
    private let onSession: (@Sendable (TLSSession) -> Void)?
    private let certificate = Mutex<[UInt8]?>(nil)

    /// Plaintext encrypted before the transport gets the result: bounds what waits in memory.
    private static let stride = 64 << 10

    init(
        _ engine: sending TLSEngine, over transport: any Connection, onSession: (@Sendable (TLSSession) -> Void)? = nil
    ) {
        self.engine = Mutex(engine)
        self.transport = transport
        self.onSession = onSession
    }

    deinit { rememberSession() }

    public var peer: Endpoint? { transport.peer }
    /// In DER; only where the peer presented one that verifies.
    public var peerCertificate: [UInt8]? { certificate.withLock { $0 } }
    /// Whether the handshake was shortened by an earlier session.
    public var isResumed: Bool { engine.withLock { $0.isResumed } }

    func handshake() async throws {
        while true {
            // OpenSSL's reason must come out, and the alert for the peer as well.
            let step = engine.withLock { engine -> (Result<TLSEngine.Progress, OpenSSLError>, [UInt8]) in
                let result = Result { () throws(OpenSSLError) in try engine.handshake() }
                return (result, engine.drain())
            }
            if !step.1.isEmpty {
                do {
                    try await transport.write(step.1)
                } catch {
                    if case .failure(let reason) = step.0 { throw reason }
                    throw error
                }
            }
            if case .done = try step.0.get() { break }
            let bytes = try await transport.read(atMost: 64 << 10)
            if bytes.isEmpty { throw OpenSSLError("TLS handshake", detail: "the peer hung up") }
            engine.withLock { $0.feed(bytes) }
        }
        let verified = engine.withLock { $0.verifiedPeerCertificate() }
        certificate.withLock { $0 = verified }
    }

    public func read(atMost limit: Int) async throws -> [UInt8] {
        while true {
            switch try engine.withLock({ try $0.read(atMost: limit) }) {
            case .bytes(let bytes): return bytes
            case .end: return []
            case .needsInput: break
            }
            let ciphertext = try await transport.read(atMost: 64 << 10)
            // Many peers end without saying so in TLS first; what came before is complete by HTTP's own framing.
            if ciphertext.isEmpty { return [] }
            engine.withLock { $0.feed(ciphertext) }
        }
    }

    public func write(_ bytes: [UInt8]) async throws {
        var sent = 0
        while sent < bytes.count {
            let end = min(bytes.count, sent + Self.stride)
            let ciphertext = try engine.withLock { engine in
                try bytes.withUnsafeBytes { try engine.write(UnsafeRawBufferPointer(rebasing: $0[sent..<end])) }
                return engine.drain()
            }
            try await transport.write(ciphertext)
            sent = end
        }
    }

    /// Small pieces share records: a record of its own costs each piece 22 bytes and a cipher's start.
    public func write(pieces: [[UInt8]]) async throws {
        var gathered: [UInt8] = []
        for piece in pieces {
            if gathered.count + piece.count > 16 << 10, !gathered.isEmpty {
                try await write(gathered)
                gathered.removeAll(keepingCapacity: true)
            }
            if piece.count >= 16 << 10 {
                try await write(piece)
            } else {
                gathered += piece
            }
        }
        try await write(gathered)
    }

    public func finishWriting() async throws {
        let farewell = engine.withLock { engine in
            engine.shutdown()
            return engine.drain()
        }
        if !farewell.isEmpty { try await transport.write(farewell) }
        try await transport.finishWriting()
    }

    public func close() {
        rememberSession()
        transport.close()
    }

    private func rememberSession() {
        guard let onSession, let session = engine.withLock({ $0.resumableSession() }) else { return }
        onSession(session)
    }
}
