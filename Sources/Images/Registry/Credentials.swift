import Basics
import Document
import Glibc
import Linux
import Wire

/// Who somebody is to a registry.
public struct RegistryCredentials: Sendable, Equatable {
    public var username = ""
    public var password = ""
    /// A refresh token, which the registry's token server exchanges for access tokens.
    public var identityToken = ""
    /// An access token, sent as it is.
    public var registryToken = ""

    public init(username: String = "", password: String = "", identityToken: String = "", registryToken: String = "") {
        self.username = username
        self.password = password
        self.identityToken = identityToken
        self.registryToken = registryToken
    }

    var isEmpty: Bool { username.isEmpty && identityToken.isEmpty && registryToken.isEmpty }
    var basic: String { "Basic " + Base64.encode(Array("\(username):\(password)".utf8)) }

    /// An entry of `auths`: `auth` is `user:password` in base64 and wins over the separate members.
    init(entry: Document) throws(ImageError) {
        username = entry.text("username") ?? ""
        password = entry.text("password") ?? ""
        identityToken = entry.text("identitytoken") ?? ""
        registryToken = entry.text("registrytoken") ?? ""
        guard let auth = entry.text("auth"), !auth.isEmpty else { return }
        guard let bytes = Base64.decode(auth), let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else {
            throw ImageError("credentials", "\"auth\" is not user:password in base64")
        }
        username = String(decoding: bytes[..<colon], as: UTF8.self)
        password = String(decoding: bytes[(colon + 1)...].filter { $0 != 0 }, as: UTF8.self)
    }

    /// As an entry of `auths`.
    public var entry: Document {
        var entry: Document = [
            "auth": Document(Base64.encode(Array("\(username):\(password)".utf8)))
        ]
        if !identityToken.isEmpty { entry["identitytoken"] = Document(identityToken) }
        if !registryToken.isEmpty { entry["registrytoken"] = Document(registryToken) }
        return entry
    }
}

/// What credential files say: `~/.docker/config.json`, `auth.json`, and the data of pull secrets have one form.
///
///     {"auths": {"quay.io": {"auth": "dXNlcjpwYXNz"}}, "credHelpers": {"ghcr.io": "pass"}, "credsStore": "pass"}
public struct CredentialSet: Sendable, Equatable {
    struct Entry: Sendable, Equatable {
        var host: String
        var port: UInt16?
        /// Components of the repository's path that the entry is for; empty for the whole registry.
        var path: [String]
        var credentials: RegistryCredentials
    }

    private(set) var entries: [Entry] = []
    /// Programs that know credentials, by registry; the empty name stands for all others.
    private(set) var helpers: [String: String] = [:]

    public init() {}

    /// The whole file of the newer form.
    public init(file document: Document, in object: String) throws(ImageError) {
        guard document.isObject else { throw ImageError(object, "no JSON object") }
        try self.init(auths: document["auths"] ?? .emptyObject, in: object)
        for (registry, helper) in document.map("credHelpers") { helpers[Self.host(of: registry)] = helper }
        if let store = document.text("credsStore"), !store.isEmpty { helpers[""] = store }
    }

    public init(host: String, _ credentials: RegistryCredentials) {
        if let entry = Self.entry(host, credentials) { entries = [entry] }
    }

    /// The `auths` member alone, which is also the older form of a whole file.
    public init(auths document: Document, in object: String) throws(ImageError) {
        for member in document.members.sorted(by: { $0.key < $1.key }) {
            var credentials: RegistryCredentials
            do { credentials = try RegistryCredentials(entry: member.value) } catch {
                throw ImageError(object, "\(member.key): \(error.message)")
            }
            guard !credentials.isEmpty, let entry = Self.entry(member.key, credentials) else { continue }
            entries.append(entry)
        }
    }

    /// Reads a file; one that is not there is an empty one.
    public init(path: String) throws {
        self.init()
        guard Files.exists(path) else { return }
        let document: Document
        do { document = try Document(json: Files.read(path, limit: 1 << 20)) } catch let error as DocumentError {
            throw ImageError(path, "no JSON: \(error)")
        }
        self = try CredentialSet(file: document, in: path)
    }

    public mutating func add(_ other: CredentialSet) {
        entries += other.entries
        helpers.merge(other.helpers) { mine, _ in mine }
    }

    public var isEmpty: Bool { entries.isEmpty && helpers.isEmpty }

    /// All entries, each as an `auths` object of its own: several may be for one registry. Without helpers, which only
    /// this machine's own files may name.
    public var list: Document {
        Document(
            entries.map { entry -> Document in
                let host = entry.host.contains(":") ? "[\(entry.host)]" : entry.host
                let name = host + (entry.port.map { ":\($0)" } ?? "") + entry.path.map { "/\($0)" }.joined()
                return Document(members: [(name, entry.credentials.entry)])
            })
    }

    public init(list: Document, in object: String) throws(ImageError) {
        for auths in list.elements { add(try CredentialSet(auths: auths, in: object)) }
    }

    private static func entry(_ key: String, _ credentials: RegistryCredentials) -> Entry? {
        var rest = Substring(key)
        for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
        let parts = rest.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        guard let first = parts.first, let (host, port) = WebAddress.hostAndPort(first) else { return nil }
        var path = Array(parts.dropFirst())
        // The address of Docker's old API, under which its tools still file their credentials.
        if path.first == "v1" || path.first == "v2" { path.removeFirst() }
        return Entry(host: Reference.canonicalHost(host), port: port, path: path, credentials: credentials)
    }

    private static func host(of key: String) -> String {
        entry(key, RegistryCredentials(username: "x")).map { $0.host + ($0.port.map { ":\($0)" } ?? "") } ?? key
    }

    /// What may open `repository` (host and path), the most specific entry first. `*` in a host's label stands for
    /// anything within that label.
    func candidates(for repository: String) -> [RegistryCredentials] {
        let parts = repository.split(separator: "/").map(String.init)
        guard let first = parts.first, let (host, port) = WebAddress.hostAndPort(first) else { return [] }
        let path = Array(parts.dropFirst())
        let fitting = entries.filter { entry in
            Self.matches(Reference.canonicalHost(host), entry.host) && (entry.port == nil || entry.port == port)
                && path.starts(with: entry.path)
        }
        var result: [RegistryCredentials] = []
        for entry in fitting.enumerated().sorted(by: {
            ($1.element.path.count, $0.offset) < ($0.element.path.count, $1.offset)
        }) where !result.contains(entry.element.credentials) {
            result.append(entry.element.credentials)
        }
        return result
    }

    private static func matches(_ host: String, _ pattern: String) -> Bool {
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        let patterns = pattern.split(separator: ".", omittingEmptySubsequences: false)
        return labels.count == patterns.count
            && zip(labels, patterns).allSatisfy { fnmatch(String($1), String($0), 0) == 0 }
    }

    /// The helper that is responsible for the registry.
    func helper(for host: String) -> String? { helpers[host] ?? helpers[""] }

    /// Asks a helper program, by the protocol of `docker-credential-…`: the server's name in, JSON out.
    static func ask(helper: String, host: String) -> RegistryCredentials? {
        guard helper.utf8.allSatisfy({ (48...57).contains($0) || (97...122).contains($0 | 32) || $0 == 45 }) else {
            return nil
        }
        let server = host == "docker.io" ? "https://index.docker.io/v1/" : host
        let outcome = Command.run([
            "sh", "-c", "printf %s \"$1\" | \"docker-credential-$2\" get", "sh", server, helper,
        ])
        guard outcome.code == 0, let answer = try? Document(json: outcome.out), let user = answer.text("Username")
        else { return nil }
        let secret = answer.text("Secret") ?? ""
        return user == "<token>"
            ? RegistryCredentials(identityToken: secret) : RegistryCredentials(username: user, password: secret)
    }
}

extension CredentialSet {
    /// Where programs keep the credentials of whoever owns `environment`, the first to be asked first.
    public static func places(environment: [String: String]) -> [String] {
        var places: [String] = []
        if let file = environment["REGISTRY_AUTH_FILE"], !file.isEmpty { return [file] }
        if let directory = environment["XDG_RUNTIME_DIR"], !directory.isEmpty {
            places.append("\(directory)/containers/auth.json")
        }
        if let home = environment["HOME"], !home.isEmpty { places.append("\(home)/.config/containers/auth.json") }
        if let directory = environment["DOCKER_CONFIG"], !directory.isEmpty {
            places.append("\(directory)/config.json")
        } else if let home = environment["HOME"], !home.isEmpty {
            places.append("\(home)/.docker/config.json")
        }
        return places
    }

    /// All of them together.
    public static func ofUser(environment: [String: String]) throws -> CredentialSet {
        var all = CredentialSet()
        for place in places(environment: environment) { all.add(try CredentialSet(path: place)) }
        return all
    }
}
