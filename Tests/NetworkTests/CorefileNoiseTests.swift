import Basics
import Testing
import Wire

@testable import DNS

@Suite struct CorefileNoiseTests {
    /// Words that a Corefile is made of, thrown together: whatever comes of it is read or refused, and reading ends.
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func noiseIsReadOrRefused(_ seed: UInt64) throws {
        var state = seed
        func draw(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let words = [
            ".", ".:53", "a.b", "{", "}", "\n", "\n", "\n", "\"", "#", "forward", "hosts", "kubernetes",
            "cluster.local",
            "cache", "30", "rewrite", "name", "exact", "substring", "ttl", "fallthrough", "10.0.0.1", "fd00::1",
            "/etc/resolv.conf", "health", ":8080", "loop", "pods", "insecure", "policy", "random", "except", "-1",
            "99999999999999999999", "ä", "dns://1.2.3.4:5", "[::1]:53", ",", "a,b",
        ]
        let domain = try #require(DNSName("cluster.local"))
        var understood = 0
        for _ in 0..<2_000 {
            var text = draw(2) == 0 ? ". {\n" : ""
            for _ in 0..<draw(25) { text += words[draw(words.count)] + " " }
            if draw(2) == 0 { text += "\n}\n" }
            guard let configuration = try? DNSConfiguration(text, domain: domain, resolvers: []) else { continue }
            understood += 1
            // What was understood can be asked.
            _ = configuration.block(for: domain)
            for block in configuration.blocks { _ = NameRewrite.apply(block.rewrites, to: domain) }
        }
        #expect(understood > 10)
        let deep = String(repeating: "a {\n", count: 100_000)
        #expect(throws: CorefileError.self) { try Corefile(parsing: deep) }
        #expect(throws: CorefileError.self) { try Corefile(parsing: String(repeating: "x", count: 300_000)) }
    }
}
