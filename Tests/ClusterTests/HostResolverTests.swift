import Basics
import Testing

@testable import Cluster

@Suite struct HostResolverTests {
    static let cases: [(text: String, verdict: Finding.Verdict, says: String)] = [
        ("nameserver 192.0.2.1\n", .ok, "upstream 192.0.2.1"),
        ("nameserver 127.0.0.53\nnameserver 192.0.2.1\n", .ok, "upstream 192.0.2.1"),
        ("# none\n", .warning, "names no server"),
        ("nameserver 127.0.0.53\noptions edns0\n", .warning, "127.0.0.53 is on this machine's loopback"),
        ("nameserver ::1\n", .warning, "::1 is on this machine's loopback"),
        ("nameserver fe80::1%eth0\n", .ok, "upstream fe80::1"),
        ("nameserver 10.96.0.10\n", .warning, "it would ask itself"),
        ("nameserver\nnameserver nonsense\n", .warning, "names no server"),
    ]

    @Test(arguments: cases)
    func whatCannotBeAskedIsNamed(text: String, verdict: Finding.Verdict, says: String) {
        let finding = HostResolver(text).finding(services: Addresses.services)
        #expect(finding.verdict == verdict)
        #expect(finding.detail.contains(says), "\(finding.detail)")
        #expect((verdict == .ok) == finding.remedy.isEmpty)
    }

    @Test func aStubGivesWayToTheServersBehindIt() {
        let stub = "nameserver 127.0.0.53\n"
        let real = "nameserver 192.0.2.9\n"
        #expect(HostResolver.choose([stub, real]).text == real)
        #expect(HostResolver.choose([real, stub]).text == real)
        #expect(HostResolver.choose([stub, nil]).text == stub)
        #expect(HostResolver.choose([nil, nil]).servers.isEmpty)
    }
}
