import Basics
import Document
import Wire

/// The certificates of Secrets, made into contexts once per version of each.
struct CertificateBook {
    private struct Entry {
        var version: String
        /// Nil where the secret holds no usable pair.
        var context: TLSServerContext?
        var problem: String?
    }

    private var entries: [String: Entry] = [:]

    /// Takes a Secret over, or its end. Answers what is wrong with it, if anything is.
    mutating func set(_ key: String, _ document: Document?) -> String? {
        guard let document else {
            entries[key] = nil
            return nil
        }
        let version = document.text("metadata", "resourceVersion") ?? ""
        if let known = entries[key], known.version == version { return nil }
        var entry = Entry(version: version)
        if let certificate = Self.pem(document, "tls.crt"), let pair = Self.pem(document, "tls.key") {
            do { entry.context = try TLSServerContext(certificatePEM: certificate, keyPEM: pair) } catch {
                entry.problem = "\(error)"
            }
        } else {
            entry.problem = "tls.crt and tls.key are not both there"
        }
        entries[key] = entry
        return entry.problem
    }

    subscript(key: String) -> TLSServerContext? { entries[key]?.context }

    private static func pem(_ document: Document, _ key: String) -> [UInt8]? {
        document.at("data", key)?.string.flatMap { Base64.decode($0) }
    }

    /// Fills in who shows which certificate. The first Ingress that claims a name keeps it.
    func fill(_ table: inout RouteTable, _ ingresses: [IngressRules], standard: TLSServerContext?) {
        table.defaultCertificate = standard
        for rules in ingresses {
            for certificate in rules.certificates {
                guard let context = self[certificate.secret] else { continue }
                // Without hosts of its own it is for those of the rules.
                let hosts = certificate.hosts.isEmpty ? rules.paths.map(\.host) : certificate.hosts
                for host in hosts {
                    if host.isEmpty {
                        table.defaultCertificate = context
                    } else if host.hasPrefix("*.") {
                        let parent = String(host.dropFirst(2))
                        table.wildcardCertificates[parent] = table.wildcardCertificates[parent] ?? context
                    } else {
                        table.certificates[host] = table.certificates[host] ?? context
                    }
                }
            }
        }
    }
}
