import Basics
import Wire

/// The port of a component that serves no API: whether it is well, and what it counts.
///
/// `/healthz`, `/livez` and `/readyz` are for everyone. `/metrics` needs the right to get that path.
public struct ComponentServer: Sendable {
    public struct Check: Sendable {
        public var name: String
        public var isGood: @Sendable () -> Bool

        public init(_ name: String, isGood: @escaping @Sendable () -> Bool) {
            self.name = name
            self.isGood = isGood
        }
    }

    private let access: DelegatedAccess
    private let checks: [Check]
    private let metrics: [any MetricsSource]

    public init(access: DelegatedAccess, checks: [Check], metrics: [any MetricsSource]) {
        self.access = access
        self.checks = checks
        self.metrics = metrics
    }

    public var handler: Handler {
        { request in
            do { return try await answer(request) } catch {
                return Self.text(500, "the API server did not say who may do this: \(error)\n")
            }
        }
    }

    private func answer(_ request: Request) async throws -> Response {
        let halves = request.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = String(halves[0])
        let query = halves.count > 1 ? halves[1].split(separator: "&").map(String.init) : []
        let words = path.split(separator: "/").map(String.init)
        if let first = words.first, ["healthz", "livez", "readyz"].contains(first) {
            return health(first, only: words.dropFirst().first, isVerbose: query.contains { $0.hasPrefix("verbose") })
        }
        guard let caller = try await access.caller(of: request) else { return Self.text(401, "Unauthorized\n") }
        let verb = request.method == "GET" || request.method == "HEAD" ? "get" : request.method.lowercased()
        guard try await access.allows(caller, verb, path: path) else {
            return Self.text(403, "forbidden: User \"\(caller.name)\" cannot \(verb) path \"\(path)\"\n")
        }
        guard path == "/metrics" else { return Self.text(404, "404 page not found\n") }
        guard verb == "get" else { return Self.text(405, "only GET is known here\n") }
        var text = MetricsText()
        for source in metrics { source.write(to: &text) }
        return Response(
            status: 200, headers: Headers([("Content-Type", MetricsText.contentType)]),
            body: .bytes(Array(text.text.utf8)))
    }

    private func health(_ name: String, only: String?, isVerbose: Bool) -> Response {
        let all = [Check("ping") { true }] + checks
        let asked = only.map { only in all.filter { $0.name == only } } ?? all
        if asked.isEmpty { return Self.text(404, "404 page not found\n") }
        let results = asked.map { (name: $0.name, isGood: $0.isGood()) }
        let isGood = results.allSatisfy(\.isGood)
        if isGood, !isVerbose { return Self.text(200, "ok") }
        let lines = results.map { $0.isGood ? "[+]\($0.name) ok\n" : "[-]\($0.name) failed: reason withheld\n" }
            .joined()
        return Self.text(isGood ? 200 : 500, lines + "\(name) check \(isGood ? "passed" : "failed")\n")
    }

    private static func text(_ status: Int, _ text: String) -> Response {
        Response(
            status: status,
            headers: Headers([
                ("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"),
            ]), body: .bytes(Array(text.utf8)))
    }
}
