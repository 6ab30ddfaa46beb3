import Basics
import Client
import Document
import Linux
import Wire

/// Where the manifests of static pods come from. What cannot be read is told and left as it was.
struct StaticPodSource: Sendable {
    let configuration: KubeletConfiguration
    let world: World
    let log: Log
    let loop: EventLoop?
    let pool: BlockingPool

    private static let longestManifest = 10 << 20

    // MARK: Files

    /// Calls back with all pods of the directory, at first and after every change.
    func watchFiles(_ found: @escaping @Sendable ([Document]) -> Void) async throws {
        let path = configuration.staticPodPath
        guard !path.isEmpty else { return }
        do { try Files.makeDirectories(path) } catch {
            // Some machines have a root that cannot be written to; then nobody can put a manifest there either.
            log.debug("static pods: \(error)")
            return
        }
        let watch = DirectoryWatch(path, loop: loop, clock: world.clock)
        try await watch.run { found(try await pool.run { [self] in readFiles(path) }) }
    }

    func files() async throws -> [Document] {
        let path = configuration.staticPodPath
        if path.isEmpty { return [] }
        return try await pool.run { [self] in readFiles(path) }
    }

    private func readFiles(_ path: String) -> [Document] {
        var pods: [Document] = []
        for name in (try? Files.list(path)) ?? [] where !name.hasPrefix(".") {
            let file = "\(path)/\(name)"
            do {
                pods += try StaticPod.read(
                    Files.read(file, limit: Self.longestManifest), source: "file", origin: file,
                    nodeName: configuration.nodeName, now: world.clock.now)
            } catch let error as SystemError where error.errno == 21 {  // EISDIR: subdirectories are not looked into
                continue
            } catch {
                log.warning("static pod manifest: \(error)")
            }
        }
        return pods
    }

    // MARK: URL

    /// Calls back with all pods of the answer, again and again.
    func followURL(_ found: @escaping @Sendable ([Document]) -> Void) async throws {
        guard !configuration.staticPodURL.isEmpty else { return }
        guard let url = ManifestURL(configuration.staticPodURL) else {
            log.warning("static pods: \"\(configuration.staticPodURL)\" is no http URL with an address")
            return
        }
        while true {
            do {
                let bytes = try await fetch(url)
                found(
                    try StaticPod.read(
                        bytes, source: "http", origin: configuration.staticPodURL, nodeName: configuration.nodeName,
                        now: world.clock.now))
            } catch is CancellationError {
                throw CancellationError()
            } catch { log.warning("static pods from \(configuration.staticPodURL): \(error)") }
            try await world.clock.sleep(for: configuration.staticPodURLInterval)
        }
    }

    private func fetch(_ url: ManifestURL) async throws -> [UInt8] {
        var limits = HTTPTransport.Limits()
        limits.idle = 0
        let transport = HTTPTransport(
            .ip(url.address, port: url.port), host: url.authority,
            tls: url.isSecure ? try TLSClientContext(caPEM: nil) : nil,
            network: world.network, clock: world.clock, limits: limits)
        var headers = Headers([("Accept", "application/json, application/yaml"), ("Connection", "close")])
        for (name, values) in configuration.staticPodURLHeaders.sorted(by: { $0.key < $1.key }) {
            for value in values { headers.add(name, value) }
        }
        let response = try await transport.send(Request("GET", url.target, headers: headers))
        let body = try await response.collect(limit: Self.longestManifest)
        guard response.status == 200 else { throw StaticPod.Problem("HTTP status \(response.status)") }
        return body
    }
}

/// `http[s]://ADDRESS[:PORT]/PATH`: the node has to know it before any DNS runs.
struct ManifestURL: Equatable {
    var isSecure: Bool
    var address: IPAddress
    var port: UInt16
    var target: String

    init?(_ text: String) {
        var rest: Substring
        if text.hasPrefix("http://") {
            (isSecure, rest) = (false, text.dropFirst(7))
        } else if text.hasPrefix("https://") {
            (isSecure, rest) = (true, text.dropFirst(8))
        } else {
            return nil
        }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        target = String(rest[end...])
        if !target.hasPrefix("/") { target = "/" + target }
        rest = rest[..<end]
        port = isSecure ? 443 : 80
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("]"),
            rest.first == "[" || !rest[..<colon].contains(":")
        {
            guard let number = UInt16(rest[rest.index(after: colon)...]) else { return nil }
            port = number
            rest = rest[..<colon]
        }
        if rest.first == "[", rest.last == "]" { rest = rest.dropFirst().dropLast() }
        guard let address = rest == "localhost" ? .loopback : IPAddress(String(rest)) else { return nil }
        self.address = address
    }

    var authority: String { "\(address.isIPv6 ? "[\(address)]" : "\(address)"):\(port)" }
}
