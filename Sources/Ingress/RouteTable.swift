import Basics
import Synchronization
import Wire

/// Who serves a service's port. One object for as long as any rule names it, so that a change of endpoints needs no
/// new table.
final class Backend: Sendable {
    struct Key: Hashable, Sendable, CustomStringConvertible {
        enum Port: Hashable, Sendable {
            case number(Int)
            case name(String)
        }

        var namespace: String
        var service: String
        var port: Port

        var description: String {
            switch port {
            case .number(let number): "\(namespace)/\(service):\(number)"
            case .name(let name): "\(namespace)/\(service):\(name)"
            }
        }
    }

    let key: Key
    private let endpoints = Mutex<[Endpoint]>([])
    private let turn = Atomic(0)

    init(_ key: Key) { self.key = key }

    func set(_ new: [Endpoint]) { endpoints.withLock { $0 = new } }

    var all: [Endpoint] { endpoints.withLock { $0 } }

    /// The endpoints to try, beginning with the next in turn, at most `count`.
    func next(_ count: Int) -> [Endpoint] {
        let all = all
        guard !all.isEmpty else { return [] }
        let first = (turn.add(1, ordering: .relaxed).newValue & .max) % all.count
        return (0..<min(count, all.count)).map { all[(first + $0) % all.count] }
    }
}

/// Where a request goes, and what is done on the way.
struct IngressRoute: Sendable {
    var backend: Backend
    /// Whom the rule belongs to, as `namespace/name`.
    var ingress: String
    var redirectsToTLS = false
    var readTime: Duration = .seconds(60)
    /// Nil without a limit.
    var bodyLimit: Int?
    var rewrite: Rewrite?

    /// What becomes of the path. `keepsRest` appends what the rule's own path left over.
    struct Rewrite: Sendable, Equatable {
        var path: String
        var keepsRest: Bool
        /// The length of the rule's own path in bytes.
        var matched: Int

        func apply(to place: RequestPlace) -> String {
            guard keepsRest else { return RequestPlace.escaped(path) + place.query }
            let rest = String(
                decoding: place.path.utf8.dropFirst(matched).drop { $0 == UInt8(ascii: "/") }, as: UTF8.self)
            let base = path.hasSuffix("/") || rest.isEmpty ? path : path + "/"
            return RequestPlace.escaped(base + rest) + place.query
        }
    }
}

/// Everything that decides about a request. Built aside and swapped in whole: a request sees one table.
struct RouteTable: Sendable {
    struct Host: Sendable {
        var exact: [String: IngressRoute] = [:]
        /// By the path without its final slash; the root is empty.
        var prefixes: [String: IngressRoute] = [:]
        var fallback: IngressRoute?

        func route(_ path: String) -> IngressRoute? {
            if let route = exact[path] { return route }
            guard !prefixes.isEmpty else { return fallback }
            // From the whole path to the root, element by element: the longest rule wins.
            var rest = path[...]
            if rest.hasSuffix("/") { rest = rest.dropLast() }
            while true {
                if let route = prefixes[String(rest)] { return route }
                guard let slash = rest.lastIndex(of: "/") else { return fallback }
                rest = rest[..<slash]
            }
        }
    }

    var hosts: [String: Host] = [:]
    /// By what stands behind the `*.`, which stands for one label.
    var wildcards: [String: Host] = [:]
    var anyHost = Host()
    var certificates: [String: TLSServerContext] = [:]
    var wildcardCertificates: [String: TLSServerContext] = [:]
    /// For clients that name nobody we know.
    var defaultCertificate: TLSServerContext?

    func route(_ place: RequestPlace) -> IngressRoute? {
        // The most specific host alone decides, as it does where every host is a server of its own.
        let host = hosts[place.host] ?? Self.parent(place.host).flatMap { wildcards[$0] } ?? anyHost
        return host.route(place.path) ?? anyHost.fallback
    }

    func certificate(for name: String?) -> TLSServerContext? {
        guard let name else { return defaultCertificate }
        return certificates[name] ?? Self.parent(name).flatMap { wildcardCertificates[$0] } ?? defaultCertificate
    }

    private static func parent(_ host: String) -> String? {
        host.firstIndex(of: ".").map { String(host[host.index(after: $0)...]) }
    }
}
