import Basics
import Document

/// The objects that decide where requests go, and the table that follows from them. Pure, but for the backends, which
/// are shared with the tables made before.
struct IngressState {
    private var ingresses: [String: IngressRules] = [:]
    /// Names of the classes that are ours.
    private var classes: Set<String> = []
    private var services: [String: Service] = [:]
    private var slices: [String: Slice] = [:]
    private var slicesOfService: [String: Set<String>] = [:]
    private var backends: [Backend.Key: Backend] = [:]

    struct Service: Equatable {
        /// Port numbers and names, as the service has them.
        var ports: [(number: Int, name: String)] = []

        static func == (a: Service, b: Service) -> Bool { a.ports.elementsEqual(b.ports) { $0 == $1 } }
    }

    struct Slice: Equatable {
        var service: String
        var ports: [String: UInt16] = [:]
        var ready: [IPAddress] = []
        /// Endpoints that still serve while they end: better than nobody.
        var serving: [IPAddress] = []
    }

    // MARK: Changing

    mutating func setIngress(_ key: String, _ document: Document?) {
        ingresses[key] = document.flatMap { IngressRules($0) }
    }

    mutating func setClass(_ name: String, _ document: Document?, controller: String) {
        if document?.text("spec", "controller") == controller { classes.insert(name) } else { classes.remove(name) }
    }

    mutating func setService(_ key: String, _ document: Document?) {
        services[key] = document.map { document in
            var service = Service()
            for port in document.list("spec", "ports") {
                if let number = port.number("port") { service.ports.append((number, port.text("name") ?? "")) }
            }
            return service
        }
        refresh(service: key)
    }

    mutating func setSlice(_ key: String, _ document: Document?) {
        var changed: Set<String> = []
        if let old = slices.removeValue(forKey: key) {
            slicesOfService[old.service]?.remove(key)
            if slicesOfService[old.service]?.isEmpty == true { slicesOfService[old.service] = nil }
            changed.insert(old.service)
        }
        if let document, let slice = Self.slice(document) {
            slices[key] = slice
            slicesOfService[slice.service, default: []].insert(key)
            changed.insert(slice.service)
        }
        for service in changed { refresh(service: service) }
    }

    private static func slice(_ document: Document) -> Slice? {
        guard let namespace = document.text("metadata", "namespace"),
            let service = document.text("metadata", "labels", "kubernetes.io/service-name"),
            document.text("addressType") != "FQDN"
        else { return nil }
        var slice = Slice(service: "\(namespace)/\(service)")
        for port in document.list("ports") where port.text("protocol") ?? "TCP" == "TCP" {
            slice.ports[port.text("name") ?? ""] = port.number("port").flatMap { UInt16(exactly: $0) }
        }
        for endpoint in document.list("endpoints") {
            let addresses = endpoint.list("addresses").compactMap { $0.string.flatMap { IPAddress($0) } }
            if endpoint.flag("conditions", "ready") ?? true {
                slice.ready += addresses
            } else if endpoint.flag("conditions", "serving") == true {
                slice.serving += addresses
            }
        }
        return slice
    }

    // MARK: Backends

    /// Endpoints go straight to those who use them; no table is made for them.
    private func refresh(service: String) {
        for (key, backend) in backends where "\(key.namespace)/\(key.service)" == service {
            backend.set(endpoints(key))
        }
    }

    private func endpoints(_ key: Backend.Key) -> [Endpoint] {
        guard let service = services["\(key.namespace)/\(key.service)"] else { return [] }
        let name: String
        switch key.port {
        case .name(let wanted):
            guard service.ports.contains(where: { $0.name == wanted }) else { return [] }
            name = wanted
        case .number(let number):
            guard let port = service.ports.first(where: { $0.number == number }) else { return [] }
            name = port.name
        }
        var ready: [Endpoint] = []
        var serving: [Endpoint] = []
        for key in (slicesOfService["\(key.namespace)/\(key.service)"] ?? []).sorted() {
            guard let slice = slices[key], let port = slice.ports[name] else { continue }
            ready += slice.ready.map { .ip($0, port: port) }
            serving += slice.serving.map { .ip($0, port: port) }
        }
        var seen: Set<Endpoint> = []
        return (ready.isEmpty ? serving : ready).filter { seen.insert($0).inserted }
    }

    /// Nobody follows services any more.
    mutating func forgetBackends() {
        services = [:]
        slices = [:]
        slicesOfService = [:]
        backends = [:]
    }

    // MARK: Reading

    var isEmpty: Bool { ingresses.isEmpty }

    /// Ours, oldest first: where two say the same, the older one counts.
    var own: [IngressRules] {
        ingresses.values.filter { $0.className.map(classes.contains) ?? false }
            .sorted { ($0.created, $0.key) < ($1.created, $1.key) }
    }

    /// The secrets that the table needs, as `namespace/name`.
    var secrets: Set<String> { Set(own.flatMap { $0.certificates.map(\.secret) }) }

    /// The table without certificates.
    mutating func table() -> RouteTable {
        var table = RouteTable()
        var used: Set<Backend.Key> = []
        for rules in own {
            for path in rules.paths {
                let route = route(rules, path.backend, host: path.host, path: path, &used)
                Self.edit(&table, path.host) { host in
                    switch path.kind {
                    case .exact: if host.exact[path.path] == nil { host.exact[path.path] = route }
                    case .prefix:
                        let prefix = Self.trimmed(path.path)
                        if host.prefixes[prefix] == nil { host.prefixes[prefix] = route }
                    }
                }
            }
            guard let fallback = rules.fallback else { continue }
            // What no rule of a host takes goes to the default backend of the Ingress that names the host.
            for host in Set(rules.paths.map(\.host)).union(rules.paths.isEmpty ? [""] : []).sorted() {
                let route = route(rules, fallback, host: host, path: nil, &used)
                Self.edit(&table, host) { if $0.fallback == nil { $0.fallback = route } }
            }
        }
        backends = backends.filter { used.contains($0.key) }
        return table
    }

    private mutating func route(
        _ rules: IngressRules, _ key: Backend.Key, host: String, path: IngressRules.Path?,
        _ used: inout Set<Backend.Key>
    ) -> IngressRoute {
        used.insert(key)
        let backend: Backend
        if let known = backends[key] {
            backend = known
        } else {
            backend = Backend(key)
            backend.set(endpoints(key))
            backends[key] = backend
        }
        var route = IngressRoute(backend: backend, ingress: rules.key)
        let isSecure = rules.isSecureForAll || Self.covers(rules.secureHosts, host)
        route.redirectsToTLS = rules.options.redirectsToTLS ?? isSecure
        if let time = rules.options.readTime { route.readTime = time }
        route.bodyLimit = rules.options.bodyLimit
        if let target = rules.options.rewriteTarget, let path {
            route.rewrite = Self.rewrite(target, path)
        }
        return route
    }

    private static func covers(_ hosts: Set<String>, _ host: String) -> Bool {
        if hosts.contains(host) { return true }
        return host.firstIndex(of: ".").map { hosts.contains("*\(host[$0...])") } ?? false
    }

    private static func rewrite(_ target: String, _ path: IngressRules.Path) -> IngressRoute.Rewrite {
        let keepsRest = path.cutsPrefix && target.hasSuffix("$2")
        return IngressRoute.Rewrite(
            path: keepsRest ? String(target.dropLast(2)) : target, keepsRest: keepsRest,
            matched: trimmed(path.path).utf8.count)
    }

    private static func edit(_ table: inout RouteTable, _ host: String, _ body: (inout RouteTable.Host) -> Void) {
        if host.isEmpty {
            body(&table.anyHost)
        } else if host.hasPrefix("*.") {
            body(&table.wildcards[String(host.dropFirst(2)), default: RouteTable.Host()])
        } else {
            body(&table.hosts[host, default: RouteTable.Host()])
        }
    }

    private static func trimmed(_ path: String) -> String {
        var path = path[...]
        while path.hasSuffix("/") { path = path.dropLast() }
        return String(path)
    }
}
