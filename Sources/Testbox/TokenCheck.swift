import Basics
import Document
import Linux
import Wire

/// A token in its three parts, and a key as its issuer publishes it. Pure.
struct SignedToken {
    let header: Document
    let claims: Document
    private let signed: [UInt8]
    private let signature: [UInt8]

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Base64.decode(parts[0], url: true),
            let claims = Base64.decode(parts[1], url: true), let signature = Base64.decode(parts[2], url: true),
            let head = try? Document(json: header), let body = try? Document(json: claims)
        else { return nil }
        self.header = head
        self.claims = body
        self.signature = signature
        signed = Array("\(parts[0]).\(parts[1])".utf8)
    }

    /// Whether the key of a published set signed it.
    func isSigned(by key: Document) -> Bool {
        guard let known = Self.publicKey(key) else { return false }
        return known.verify(signed, signature: signature)
    }

    /// A JSON web key as OpenSSL reads one: `SubjectPublicKeyInfo` in PEM.
    private static func publicKey(_ key: Document) -> PublicKey? {
        func part(_ name: String) -> [UInt8]? { key[name]?.string.flatMap { Base64.decode($0, url: true) } }
        let der: [UInt8]
        switch key["kty"]?.string {
        case "EC":
            guard let x = part("x"), let y = part("y"), x.count == 32, y.count == 32 else { return nil }
            // id-ecPublicKey, prime256v1
            let algorithm: [UInt8] = [
                0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03,
                0x01, 0x07,
            ]
            der = field(0x30, field(0x30, algorithm) + field(0x03, [0, 4] + x + y))
        case "RSA":
            guard let n = part("n"), let e = part("e") else { return nil }
            // rsaEncryption, NULL
            let algorithm: [UInt8] = [
                0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
            ]
            // A leading zero keeps a number positive.
            let numbers = field(0x02, [0] + n) + field(0x02, [0] + e)
            der = field(0x30, field(0x30, algorithm) + field(0x03, [0] + field(0x30, numbers)))
        default: return nil
        }
        let pem = "-----BEGIN PUBLIC KEY-----\n\(Base64.encode(der))\n-----END PUBLIC KEY-----\n"
        return try? PublicKey(pem: Array(pem.utf8))
    }

    /// One field of DER: its tag, its length, its content.
    private static func field(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let count = content.count
        if count < 128 { return [tag, UInt8(count)] + content }
        if count < 256 { return [tag, 0x81, UInt8(count)] + content }
        return [tag, 0x82, UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)] + content
    }
}

extension Testbox {
    private static let account = "/var/run/secrets/kubernetes.io/serviceaccount"

    struct Doubt: Error, CustomStringConvertible { let description: String }

    /// Checks the pod's own token as a stranger would: with the keys that its issuer's documents lead to.
    func checkToken(issuer: URL) async throws -> Int32 {
        let text = try Files.text("\(Self.account)/token")
        guard let token = SignedToken(text) else { throw Doubt(description: "the token is none") }
        let discovery = try await published(issuer, "/.well-known/openid-configuration", text)
        guard let name = discovery["issuer"]?.string, name == token.claims["iss"]?.string else {
            throw Doubt(
                description: "issued by \(token.claims["iss"]?.jsonText ?? "nobody"), not by \(discovery.jsonText)")
        }
        guard let place = discovery["jwks_uri"]?.string, place.hasPrefix("https://") else {
            throw Doubt(description: "no place for keys in \(discovery.jsonText)")
        }
        let address = try URL("http://" + place.dropFirst("https://".count))
        let keys = try await published(address, address.target, text)["keys"]?.elements ?? []
        let id = token.header["kid"]
        guard let key = keys.first(where: { $0["kid"] == id }) else { throw Doubt(description: "its key is not there") }
        guard token.isSigned(by: key) else { throw Doubt(description: "its signature is wrong") }
        Output.line("signed by \(name) for \(token.claims["sub"]?.string ?? "")")
        return 0
    }

    /// A document from a server that the cluster's authority vouches for.
    private func published(_ place: URL, _ path: String, _ token: String) async throws -> Document {
        let address: IPAddress
        if let literal = IPAddress(place.host) {
            address = literal
        } else {
            let found = try await Resolver(world: world).addresses(of: place.host)
            guard let first = found.first else { throw NotFound(name: place.host) }
            address = first
        }
        let tls = try TLSClientContext(caPEM: try Files.read("\(Self.account)/ca.crt"))
        let transport = HTTPTransport(
            .ip(address, port: place.port == 80 ? 443 : place.port), host: place.host, tls: tls, serverName: place.host,
            network: world.network, clock: world.clock)
        let answer = try await transport.send(
            Request("GET", path, headers: Headers([("Authorization", "Bearer \(token)"), ("Accept", "*/*")])))
        let bytes = try await answer.collect(limit: 1 << 20)
        guard answer.status == 200 else {
            throw Doubt(description: "\(place.host)\(path): \(answer.status) \(String(decoding: bytes, as: UTF8.self))")
        }
        return try Document(json: bytes)
    }
}
