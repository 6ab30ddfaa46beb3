import Basics
import Document
import Glibc
import Linux
import Wire

/// How registries are reached: mirrors, certificates, credentials, proxies.
///
/// `registries.yaml` has the form that k3s made known:
///
///     mirrors:
///       docker.io:
///         endpoint: ["https://mirror.example:5000"]
///         rewrite: {"^library/(.*)": "hub/$1"}        # not supported, and refused
///       "*":
///         endpoint: ["http://127.0.0.1:5000"]
///     configs:
///       "mirror.example:5000":
///         auth: {username: me, password: secret}
///         tls: {ca_file: ca.pem, cert_file: c.pem, key_file: k.pem, insecure_skip_verify: true}
///
/// A registry's own address is asked after its mirrors. A mirror with `http://` is plain HTTP.
public struct RegistrySettings: Sendable {
    struct TLS: Sendable, Equatable {
        var authorities: String?
        var certificate: String?
        var key: String?
        var skipsVerification = false
    }

    /// The endpoints to ask before a registry itself, by the registry's name; `*` stands for all others.
    private(set) var mirrors: [String: [WebAddress]] = [:]
    private(set) var tls: [String: TLS] = [:]
    public var credentials = CredentialSet()
    public var proxies = ProxySettings()
    /// The bundle of authorities that this system trusts; nil where none was found.
    public var authorities: String?

    public init() {}

    static let certificateFolders = ["/etc/containers/certs.d", "/etc/docker/certs.d"]

    /// What this machine's files and the environment say. The first `registries.yaml` that is there counts.
    public static func ofMachine(
        files: [String], environment: [String: String], credentials: CredentialSet
    ) throws -> RegistrySettings {
        var settings = RegistrySettings()
        if let file = files.first(where: Files.exists) {
            settings = try RegistrySettings(yaml: try Files.read(file, limit: 1 << 20), name: file)
        }
        settings.credentials.add(credentials)
        settings.proxies = ProxySettings(environment: environment)
        settings.authorities = AuthorityBundle.path(named: environment["SSL_CERT_FILE"])
        return settings
    }

    public init(yaml bytes: [UInt8], name: String) throws(ImageError) {
        let document: Document
        let positions: YAMLPositions
        do { (document, positions) = try Document.yamlWithPositions(bytes) } catch {
            throw ImageError(name, "\(error)")
        }
        let reader = Reader(name: name, positions: positions)
        for member in document.members {
            switch member.key {
            case "mirrors": try readMirrors(member.value, reader)
            case "configs": try readConfigs(member.value, reader)
            default: throw reader.fail(member.key, "unknown field '\(member.key)'; known are mirrors and configs")
            }
        }
    }

    private struct Reader {
        var name: String
        var positions: YAMLPositions

        func fail(_ path: String, _ message: String) -> ImageError {
            let place = (positions.key(path) ?? positions[path]).map { "line \($0.line), column \($0.column): " } ?? ""
            return ImageError(name, place + message)
        }
    }

    private mutating func readMirrors(_ document: Document, _ reader: Reader) throws(ImageError) {
        for mirror in document.members {
            let path = "mirrors.\(mirror.key)"
            var addresses: [WebAddress] = []
            for member in mirror.value.members {
                guard member.key == "endpoint" else {
                    throw reader.fail("\(path).\(member.key)", "'\(member.key)' of a mirror is not supported")
                }
                for element in member.value.elements {
                    guard let address = element.string.flatMap({ WebAddress($0) }) else {
                        throw reader.fail("\(path).endpoint", "'\(element.string ?? "")' is no http:// or https:// URL")
                    }
                    addresses.append(address)
                }
            }
            mirrors[Reference.canonicalHost(mirror.key)] = addresses
        }
    }

    private mutating func readConfigs(_ document: Document, _ reader: Reader) throws(ImageError) {
        for config in document.members {
            let path = "configs.\(config.key)"
            for member in config.value.members {
                switch member.key {
                case "auth":
                    var entry = member.value
                    // The name that this file uses for what credential files call `identitytoken`.
                    if let token = entry["identity_token"] { entry["identitytoken"] = token }
                    do {
                        credentials.add(
                            try CredentialSet(
                                auths: Document(members: [(config.key, entry)]), in: reader.name))
                    } catch { throw reader.fail("\(path).auth", error.message) }
                case "tls": tls[config.key.lowercased()] = try Self.tls(member.value, "\(path).tls", reader)
                default:
                    throw reader.fail("\(path).\(member.key)", "unknown field '\(member.key)'; known are auth and tls")
                }
            }
        }
    }

    private static func tls(_ document: Document, _ path: String, _ reader: Reader) throws(ImageError) -> TLS {
        var tls = TLS()
        for member in document.members {
            switch member.key {
            case "ca_file": tls.authorities = member.value.string
            case "cert_file": tls.certificate = member.value.string
            case "key_file": tls.key = member.value.string
            case "insecure_skip_verify": tls.skipsVerification = member.value.bool ?? false
            default:
                throw reader.fail(
                    "\(path).\(member.key)",
                    "unknown field '\(member.key)'; known are ca_file, cert_file, key_file, insecure_skip_verify")
            }
        }
        return tls
    }

    /// For the user's `--insecure` and `--ca-file`.
    public mutating func set(registry host: String, authorities: String?, insecure: Bool) {
        tls[host.lowercased()] = TLS(authorities: authorities, skipsVerification: insecure)
    }

    // MARK: Looking things up

    /// Where to ask for the images of `host`, in order. Registries on this machine itself, and those whose
    /// certificate nobody checks, may speak plain HTTP.
    func endpoints(of host: String) -> [RegistryEndpoint] {
        let canonical = Reference.canonicalHost(host)
        let real = canonical == "docker.io" ? "registry-1.docker.io" : canonical
        var endpoints = (mirrors[canonical] ?? mirrors["*"] ?? []).map { address in
            RegistryEndpoint(origin: address.origin, prefix: Self.prefix(address.target), isMirror: true)
        }
        guard let (name, port) = WebAddress.hostAndPort(real) else { return endpoints }
        let secure = WebAddress.Origin(isSecure: true, host: name, port: port ?? 443)
        endpoints.append(RegistryEndpoint(origin: secure, prefix: "", isMirror: false))
        let isHere = name == "localhost" || name.hasSuffix(".localhost") || IPAddress(name)?.isLoopback ?? false
        if isHere || tls(for: secure).skipsVerification {
            let plain = WebAddress.Origin(isSecure: false, host: name, port: port ?? 80)
            endpoints.append(RegistryEndpoint(origin: plain, prefix: "", isMirror: false))
        }
        var seen: Set<RegistryEndpoint> = []
        return endpoints.filter { seen.insert($0).inserted }
    }

    private static func prefix(_ path: String) -> String {
        var path = path.prefix { $0 != "?" }
        while path.hasSuffix("/") { path = path.dropLast() }
        // Many write the API's version, which is added to every path anyway.
        if path.hasSuffix("/v2") { path = path.dropLast(3) }
        return String(path)
    }

    /// The file's word on an origin, else what Docker's and Podman's folders of certificates hold for it.
    func tls(for origin: WebAddress.Origin) -> TLS {
        let name = origin.host.contains(":") ? "[\(origin.host)]" : origin.host
        if let own = tls["\(name):\(origin.port)"] ?? tls[name] { return own }
        if origin.host == "registry-1.docker.io", let own = tls["docker.io"] { return own }
        var result = TLS()
        for folder in Self.certificateFolders {
            for host in ["\(name):\(origin.port)", name] where Files.exists("\(folder)/\(host)") {
                let directory = "\(folder)/\(host)"
                if Files.exists("\(directory)/ca.crt") { result.authorities = "\(directory)/ca.crt" }
                if Files.exists("\(directory)/client.cert"), Files.exists("\(directory)/client.key") {
                    result.certificate = "\(directory)/client.cert"
                    result.key = "\(directory)/client.key"
                }
                return result
            }
        }
        return result
    }
}

/// One server that may have an image.
struct RegistryEndpoint: Hashable, Sendable, CustomStringConvertible {
    var origin: WebAddress.Origin
    /// What comes before `/v2/` in every path.
    var prefix: String
    var isMirror: Bool

    var description: String { "\(origin)\(prefix)" }

    func address(_ path: String) -> WebAddress { WebAddress(origin, "\(prefix)/v2/\(path)") }
}
