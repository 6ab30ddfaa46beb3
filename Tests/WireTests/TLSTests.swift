import Basics
import Glibc
import Testing

@testable import Wire

@Suite struct TLSTests {
    /// OpenSSL compares with the machine's clock, so certificates have to be valid now.
    private static let now = Timestamp(seconds: Int64(time(nil)))

    /// Shakes hands in memory and runs `body` with both ends.
    private static func meet(
        _ server: TLSServerContext, _ client: TLSClientContext, name: String = "localhost",
        _ body: @escaping @Sendable (_ server: TLSConnection, _ client: TLSConnection) async throws -> Void
    ) async throws {
        let (near, far) = MemoryConnection.pair()
        async let accepted = server.accept(far)
        let connected: TLSConnection
        do {
            connected = try await client.connect(near, serverName: name)
        } catch {
            near.close()
            _ = try? await accepted
            throw error
        }
        try await body(try await accepted, connected)
    }

    private static func credentials() throws -> Credentials {
        try Credentials(now: now)
    }

    @Test func bytesPassBothWays() async throws {
        let credentials = try Self.credentials()
        try await Self.meet(credentials.server(), credentials.client()) { server, client in
            let large = [UInt8]((0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13) })
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await client.write(large)
                    try await client.write(pieces: [[1], [], large, [2]])
                    try await client.finishWriting()
                }
                group.addTask { try await server.write(large) }
                group.addTask {
                    var all: [UInt8] = []
                    while true {
                        let piece = try await server.read(atMost: 100_000)
                        if piece.isEmpty { break }
                        all += piece
                    }
                    #expect(all == large + [1] + large + [2])
                }
                var back: [UInt8] = []
                while back.count < large.count { back += try await client.read(atMost: 1 << 20) }
                #expect(back == large)
                try await group.waitForAll()
            }
        }
    }

    @Test func theClientsCertificateIsKnown() async throws {
        let credentials = try Self.credentials()
        try await Self.meet(credentials.server(), credentials.client()) { server, _ in
            let certificate = try X509Certificate(der: #require(server.peerCertificate))
            #expect(certificate.commonName == "alice")
            #expect(certificate.organizations == ["a", "b"])
        }
        let anonymous = try TLSClientContext(caPEM: credentials.authority.certificatePEM)
        try await Self.meet(credentials.server(), anonymous) { server, _ in #expect(server.peerCertificate == nil) }
    }

    @Test func aStrangersCertificateIsNoIdentity() async throws {
        let credentials = try Self.credentials()
        let stranger = try Self.credentials()
        let pair = try stranger.authority.issue(
            commonName: "admin", usage: .client, now: Self.now, validity: .seconds(3_600))
        let client = try TLSClientContext(
            caPEM: credentials.authority.certificatePEM, certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
        try await Self.meet(credentials.server(), client) { server, _ in #expect(server.peerCertificate == nil) }
        // Nor is a server's certificate one for a client.
        let wrong = try credentials.authority.issue(
            commonName: "admin", usage: .server, now: Self.now, validity: .seconds(3_600))
        let misused = try TLSClientContext(
            caPEM: credentials.authority.certificatePEM, certificatePEM: wrong.certificatePEM, keyPEM: wrong.keyPEM)
        try await Self.meet(credentials.server(), misused) { server, _ in #expect(server.peerCertificate == nil) }
    }

    @Test func clientsInsistOnTheServersName() async throws {
        let credentials = try Self.credentials()
        try await Self.meet(credentials.server(), credentials.client(), name: "127.0.0.1") { _, _ in }
        for name in ["elsewhere", "127.0.0.2"] {
            await #expect(throws: OpenSSLError.self) {
                try await Self.meet(credentials.server(), credentials.client(), name: name) { _, _ in }
            }
        }
        let stranger = try Self.credentials()
        await #expect(throws: OpenSSLError.self) {
            try await Self.meet(credentials.server(), stranger.client()) { _, _ in }
        }
        let trusting = try TLSClientContext(caPEM: nil)
        try await Self.meet(credentials.server(), trusting, name: "elsewhere") { _, _ in }
    }

    @Test func sessionsAreResumedWithTheirIdentity() async throws {
        let credentials = try Self.credentials()
        let server = try credentials.server()
        let client = try credentials.client()
        for round in 0..<3 {
            try await Self.meet(server, client) { far, near in
                #expect(near.isResumed == (round > 0))
                #expect(far.peerCertificate != nil)
                try await far.write([1])
                #expect(try await near.read(atMost: 1) == [1])
                near.close()
            }
        }
        // After a reload the old sessions mean nothing.
        let pair = try credentials.authority.issue(
            commonName: "server", dnsNames: ["localhost"], usage: .server, now: Self.now, validity: .seconds(3_600))
        try server.reload(
            certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM, clientCAPEM: credentials.authority.certificatePEM)
        try await Self.meet(server, client) { _, near in #expect(!near.isResumed) }
    }

    @Test func cancellingAReadLosesNothing() async throws {
        let credentials = try Self.credentials()
        try await Self.meet(credentials.server(), credentials.client()) { server, client in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await #expect(throws: CancellationError.self) { try await client.read(atMost: 9) } }
                group.cancelAll()
            }
            try await server.write([1, 2, 3])
            #expect(try await client.read(atMost: 9) == [1, 2, 3])
        }
    }

    @Test func noiseIsNoHandshake() async throws {
        let server = try Self.credentials().server()
        let (near, far) = MemoryConnection.pair()
        try await near.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        await #expect(throws: OpenSSLError.self) { _ = try await server.accept(far) }
        near.close()
    }

    @Test func badMaterialIsRefused() throws {
        let credentials = try Self.credentials()
        let pair = try credentials.authority.issue(
            commonName: "x", usage: .server, now: Self.now, validity: .seconds(3_600))
        #expect(throws: OpenSSLError.self) {
            try TLSServerContext(certificatePEM: pair.certificatePEM, keyPEM: credentials.authority.keyPEM)
        }
        #expect(throws: OpenSSLError.self) {
            try TLSServerContext(certificatePEM: Array("nothing".utf8), keyPEM: pair.keyPEM)
        }
    }
}

@Suite struct X509Tests {
    private static let now = Timestamp(seconds: 1_790_000_000)

    @Test func certificatesSayWhatTheyWereToldTo() throws {
        let authority = try CertificateAuthority.create(commonName: "root", now: Self.now, validity: .seconds(86_400))
        let issued = try authority.issue(
            commonName: "system:node:a,b/c=d", organizations: ["system:nodes", "ü"], dnsNames: ["a.b", "*.c"],
            ipAddresses: [.loopback, IPAddress(v6High: 0, low: 1)], usage: [.server, .client], now: Self.now,
            validity: .seconds(3600))
        let certificate = try #require(X509Certificate.parseAll(pem: issued.certificatePEM).first)
        #expect(certificate.commonName == "system:node:a,b/c=d")
        #expect(certificate.organizations == ["system:nodes", "ü"])
        #expect(certificate.alternativeNames.dnsNames == ["a.b", "*.c"])
        #expect(certificate.alternativeNames.ipAddresses == [.loopback, IPAddress(v6High: 0, low: 1)])
        #expect(certificate.notAfter == Self.now + .seconds(3600))
        #expect(try X509Certificate(der: certificate.der).pem() == issued.certificatePEM)
        let again = try CertificateAuthority(certificatePEM: authority.certificatePEM, keyPEM: authority.keyPEM)
        _ = try again.issue(commonName: "x", usage: .client, now: Self.now, validity: .seconds(3_600))
        #expect(throws: OpenSSLError.self) {
            try CertificateAuthority(certificatePEM: authority.certificatePEM, keyPEM: issued.keyPEM)
        }
        #expect(throws: OpenSSLError.self) {
            try authority.issue(
                commonName: "x", dnsNames: ["a,IP:1.2.3.4"], usage: .server, now: Self.now, validity: .seconds(3_600))
        }
    }

    @Test func signaturesVerify() throws {
        let message = Array("header.payload".utf8)
        for key in [try PrivateKey.generate(), try PrivateKey.generateRSA()] {
            let signature = try key.sign(message)
            #expect(signature.count == (key.isRSA ? 256 : 64))
            let publicKey = try key.publicKey()
            #expect(publicKey.verify(message, signature: signature))
            var forged = signature
            forged[10] ^= 1
            #expect(!publicKey.verify(message, signature: forged))
            #expect(!publicKey.verify(message + [0], signature: signature))
            #expect(!publicKey.verify(message, signature: []))
            let restored = try PrivateKey(pem: key.pem)
            #expect(publicKey.verify(message, signature: try restored.sign(message)))
            #expect((publicKey.coordinates() == nil) == key.isRSA)
            #expect((publicKey.modulusAndExponent() != nil) == key.isRSA)
        }
    }

    @Test func requestsAreRead() throws {
        let key = try PrivateKey.generate()
        let pem = try CertificateRequest.make(commonName: "system:node:n", organizations: ["system:nodes"], key: key)
        let request = try CertificateRequest(pem: pem)
        #expect(request.commonName == "system:node:n")
        #expect(request.organizations == ["system:nodes"])
        let authority = try CertificateAuthority.create(commonName: "root", now: Self.now, validity: .seconds(86_400))
        let signed = try authority.sign(request, usage: .client, now: Self.now, validity: .seconds(3_600))
        let certificate = try #require(X509Certificate.parseAll(pem: signed).first)
        #expect(try certificate.publicKey().der() == key.publicKey().der())
        #expect(throws: OpenSSLError.self) { try CertificateRequest(pem: Array("nothing".utf8)) }
    }

    @Test func digests() {
        #expect(
            Hex.encode(Digest.sha256(Array("abc".utf8)))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            Hex.encode(Digest.hmacSHA256(Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8)))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(Digest.equal([1, 2], [1, 2]) && !Digest.equal([1, 2], [1, 3]) && !Digest.equal([1], [1, 2]))
    }

    @Test func datesAreWrittenAsTheStandardSays() {
        #expect(HTTPDate.format(Timestamp(seconds: 784_111_777)) == "Sun, 06 Nov 1994 08:49:37 GMT")
    }
}
