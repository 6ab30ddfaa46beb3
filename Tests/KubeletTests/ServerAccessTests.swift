import Basics
import Document
import Glibc
import Linux
import Testing
import Wire

@testable import Kubelet

@Suite(.enabled(if: geteuid() == 0, "mounting tmpfs needs root"))
struct ServerAccessTests {
    @Test func eachPathIsAboutAPartOfTheNode() {
        let cases = [
            ("stats/summary", ["stats"]), ("metrics/cadvisor", ["metrics"]), ("pods", ["pods", "proxy"]),
            ("exec/a/b/c", ["proxy"]), ("containerLogs/a/b/c", ["proxy"]), ("healthz", ["healthz", "proxy"]),
            ("", ["proxy"]),
        ]
        for (path, expected) in cases {
            #expect(ServerAccess.subresources(of: path.split(separator: "/").map(String.init)) == expected, "\(path)")
        }
    }

    @Test func theAPIServerDecides() async throws {
        var node = try TestNode()
        node.authorization = .reviews
        defer { node.remove() }
        let made = node
        let authority = try CertificateAuthority.create(commonName: "ca", now: start, validity: .seconds(1_000_000))
        func certificate(_ name: String, _ group: String) throws -> [UInt8] {
            let issued = try authority.issue(
                commonName: name, organizations: [group], usage: .client, now: start, validity: .seconds(1_000_000))
            return try #require(X509Certificate.parseAll(pem: issued.certificatePEM).first).der
        }
        let (admin, other) = (try certificate("root", "admins"), try certificate("kubelet", "system:nodes"))
        try await node.withKubelet { kubelet in
            func ask(_ path: String, _ method: String = "GET", certificate: [UInt8]? = nil, token: String? = nil)
                async -> (Int, String)
            {
                var request = Request(method, path, peer: PeerIdentity(certificate: certificate))
                if let token { request.headers["Authorization"] = "Bearer \(token)" }
                let answer = await kubelet.handler(request)
                guard case .bytes(let bytes) = answer.body else { return (answer.status, "") }
                return (answer.status, String(decoding: bytes, as: UTF8.self))
            }
            let nobody = await ask("/metrics")
            let wrong = await ask("/metrics", token: "wrong")
            let broken = await ask("/metrics", certificate: [1])
            #expect([nobody.0, wrong.0, broken.0] == [401, 401, 401])
            let metrics = await ask("/metrics", token: "right")
            let pods = await ask("/pods", token: "right")
            let exec = await ask("/exec/shop/web/main", "POST", token: "right")
            #expect([metrics.0, pods.0, exec.0] == [200, 200, 403])
            #expect(exec.1 == "Forbidden (user=prober, verb=create, resource=nodes, subresource(s)=[proxy])")
            let far = await ask("/containerLogs/shop/web/main", certificate: other)
            let near = await ask("/containerLogs/shop/web/main", certificate: admin)
            #expect([far.0, near.0] == [403, 404])
            // What was said is remembered.
            func reviews() -> Int { made.api.requests.filter { $0.hasSuffix("reviews") }.count }
            let before = reviews()
            for _ in 0..<5 { _ = await ask("/metrics", token: "right") }
            #expect(reviews() == before)
        }
    }
}
