import Basics
import Synchronization
import Wire

/// The key that signs service account tokens, fetched or made when the first token needs it: a new RSA key takes
/// longer than all the rest of a server's start.
final class SigningKey: Sendable {
    struct Material: Sendable {
        let key: PrivateKey
        let publicKey: PublicKey
        let id: String
        let algorithm: String

        init(pem: [UInt8]) throws {
            key = try PrivateKey(pem: pem)
            publicKey = try key.publicKey()
            id = Base64.encode(Digest.sha256(try publicKey.der()), url: true)
            algorithm = key.isRSA ? "RS256" : "ES256"
        }
    }

    private let source: @Sendable () throws -> [UInt8]
    private let made = Mutex<Material?>(nil)

    init(source: @escaping @Sendable () throws -> [UInt8]) { self.source = source }

    /// Others who ask at the same time wait: there must be one key only.
    func material() throws -> Material {
        try made.withLock { made in
            if let made { return made }
            let material = try Material(pem: try source())
            made = material
            return material
        }
    }
}
