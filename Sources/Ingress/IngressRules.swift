import Basics
import Document

/// An Ingress object, as far as it is served.
struct IngressRules: Sendable, Equatable {
    enum PathKind: Sendable, Equatable { case exact, prefix }

    struct Path: Sendable, Equatable {
        var host: String
        var kind: PathKind
        var path: String
        var backend: Backend.Key
        /// Behind `PATH(/|$)(.*)`, the way in which paths are cut off wherever regular expressions serve.
        var cutsPrefix = false
    }

    struct Certificate: Sendable, Equatable {
        var hosts: [String]
        var secret: String
    }

    struct Options: Sendable, Equatable {
        var redirectsToTLS: Bool?
        var readTime: Duration?
        var bodyLimit: Int?
        var rewriteTarget: String?
    }

    var namespace: String
    var name: String
    var created: String
    var className: String?
    var paths: [Path] = []
    var fallback: Backend.Key?
    var certificates: [Certificate] = []
    /// All hosts of `spec.tls`, also where no secret is named.
    var secureHosts: Set<String> = []
    var isSecureForAll = false
    var options = Options()
    /// What is asked for and not done, for the log.
    var remarks: [String] = []

    var key: String { "\(namespace)/\(name)" }

    static let legacyClass = "kubernetes.io/ingress.class"

    init?(_ document: Document) {
        guard let namespace = document.text("metadata", "namespace"), let name = document.text("metadata", "name")
        else { return nil }
        self.namespace = namespace
        self.name = name
        created = document.text("metadata", "creationTimestamp") ?? ""
        let annotations = document.map("metadata", "annotations")
        className = document.text("spec", "ingressClassName") ?? annotations[Self.legacyClass]
        options = readOptions(annotations)
        fallback = document.at("spec", "defaultBackend").flatMap { backend($0) }
        for rule in document.list("spec", "rules") {
            let host = (rule.text("host") ?? "").lowercased()
            for path in rule.list("http", "paths") { read(path, host) }
        }
        for tls in document.list("spec", "tls") {
            let hosts = tls.list("hosts").compactMap(\.string).map { $0.lowercased() }
            secureHosts.formUnion(hosts)
            if hosts.isEmpty { isSecureForAll = true }
            guard let secret = tls.text("secretName"), !secret.isEmpty else { continue }
            certificates.append(Certificate(hosts: hosts, secret: "\(namespace)/\(secret)"))
        }
    }

    private mutating func read(_ path: Document, _ host: String) {
        guard let key = path.at("backend").flatMap({ backend($0) }) else {
            remarks.append("a backend that is no service is not served")
            return
        }
        var text = path.text("path") ?? "/"
        if text.isEmpty { text = "/" }
        let kind: PathKind = path.text("pathType") == "Exact" ? .exact : .prefix
        var entry = Path(host: host, kind: kind, path: text, backend: key)
        let idiom = "(/|$)(.*)"
        if kind == .prefix, text.hasSuffix(idiom) {
            entry.path = String(text.dropLast(idiom.count))
            entry.cutsPrefix = true
        } else if kind == .prefix, text.contains(where: { "()[]^$|*+\\".contains($0) }) {
            remarks.append("path \(text) is taken as it stands: regular expressions are not understood")
        }
        paths.append(entry)
    }

    private func backend(_ document: Document) -> Backend.Key? {
        guard let service = document.text("service", "name") else { return nil }
        if let number = document.number("service", "port", "number") {
            return Backend.Key(namespace: namespace, service: service, port: .number(number))
        }
        return document.text("service", "port", "name").map {
            Backend.Key(namespace: namespace, service: service, port: .name($0))
        }
    }

    /// Options under our own prefix, and those of ingress-nginx that mean the same.
    private mutating func readOptions(_ annotations: [String: String]) -> Options {
        var options = Options()
        for (name, value) in annotations.sorted(by: { $0.key < $1.key }) {
            let parts = name.split(separator: "/", maxSplits: 1)
            guard parts.count == 2, ["lab.dev", "nginx.ingress.kubernetes.io"].contains(parts[0]) else { continue }
            switch parts[1] {
            case "ssl-redirect": options.redirectsToTLS = options.redirectsToTLS ?? (value == "true")
            case "force-ssl-redirect": if value == "true" { options.redirectsToTLS = true }
            case "rewrite-target": options.rewriteTarget = value
            case "proxy-read-timeout":
                if let seconds = Int(value), (1...86_400).contains(seconds) {
                    options.readTime = .seconds(seconds)
                } else {
                    remarks.append("\(name): '\(value)' is no number of seconds")
                }
            case "proxy-body-size":
                if let limit = Self.size(value) {
                    options.bodyLimit = limit == 0 ? nil : limit
                } else {
                    remarks.append("\(name): '\(value)' is no size")
                }
            default: remarks.append("annotation \(name) has no effect here")
            }
        }
        return options
    }

    /// `8m`, `512k`, `1g`, `1024`; 0 for no limit.
    static func size(_ text: String) -> Int? {
        let units: [Character: Int] = ["k": 10, "m": 20, "g": 30]
        let shift = text.last.flatMap { units[Character($0.lowercased())] }
        guard let number = Int(shift == nil ? text : String(text.dropLast())), (0..<1 << 30).contains(number) else {
            return nil
        }
        return number << (shift ?? 0)
    }
}
