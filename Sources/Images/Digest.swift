import Basics
import COpenSSL

/// `sha256:` and 64 hexadecimal digits: the name of some bytes.
struct Digest: Hashable, Sendable, CustomStringConvertible {
    let hex: String

    /// Nil for everything that is not exactly a SHA-256 digest: digests become file names.
    init?(_ text: String) {
        guard text.hasPrefix("sha256:") else { return nil }
        self.init(hex: String(text.dropFirst(7)))
    }

    init?(hex: String) {
        guard hex.utf8.count == 64, hex.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else {
            return nil
        }
        self.hex = hex
    }

    fileprivate init(finished hex: String) { self.hex = hex }

    var description: String { "sha256:\(hex)" }

    static func of(_ bytes: [UInt8]) -> Digest {
        let hash = RunningDigest()
        bytes.withUnsafeBytes { hash.add($0) }
        return hash.finish()
    }
}

/// SHA-256 over bytes as they come.
final class RunningDigest {
    private let context: OpaquePointer?

    init() {
        context = EVP_MD_CTX_new()
        EVP_DigestInit_ex(context, EVP_sha256(), nil)
    }

    deinit { EVP_MD_CTX_free(context) }

    func add(_ bytes: UnsafeRawBufferPointer) { EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) }

    func finish() -> Digest {
        var out = [UInt8](repeating: 0, count: 32)
        EVP_DigestFinal_ex(context, &out, nil)
        return Digest(finished: Hex.encode(out))
    }
}
