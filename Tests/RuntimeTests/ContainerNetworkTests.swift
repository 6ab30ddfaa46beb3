import Document
import Glibc
import Linux
import Testing

@testable import Runtime

/// What a container's own network namespace is like, and one that it joins.
@Suite(.serialized, .enabled(if: Fixture.canRun, Fixture.reason))
struct ContainerNetworkTests {
    @Test func itsLoopbackWorksFromTheStart() async throws {
        try await ContainerFixture.with { it in
            try it.write("busybox ifconfig lo >/out")
            let (code, out) = try it.run()
            #expect(code == 0 && out.contains("UP LOOPBACK") && out.contains("127.0.0.1"), "\(out)")
        }
    }

    @Test func oneThatItJoinsIsLeftAsItIs() async throws {
        try await ContainerFixture.with { it in
            let namespace = try NetworkNamespace.make()
            let path = "/proc/\(getpid())/fd/\(namespace.descriptor)"
            try it.write(
                "busybox ifconfig lo >/out",
                [
                    "linux": [
                        "namespaces": [
                            ["type": "mount"], ["type": "pid"], ["type": "uts"],
                            ["type": "network", "path": Document(path)],
                        ]
                    ]
                ])
            let (code, out) = try it.run()
            #expect(code == 0 && !out.contains("UP"), "\(out)")
        }
    }
}
