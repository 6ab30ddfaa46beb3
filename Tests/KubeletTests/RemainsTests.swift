import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Kubelet

/// An agent may be killed after it has told that a pod is over and before it has removed what is left of it.
@Suite(.enabled(if: geteuid() == 0, "mounting tmpfs needs root"))
struct RemainsTests {
    private let over = pod(
        status: [
            "phase": "Succeeded", "startTime": "2026-01-01T00:00:00Z",
            "containerStatuses": [["name": "main", "state": ["terminated": ["exitCode": 0]]]],
        ])

    @Test(arguments: [true, false]) func whatIsLeftOfAPodThatIsOverIsRemoved(_ hasRemains: Bool) {
        var lifecycle = PodLifecycle(pod: over, found: nil, hasRemains: hasRemains, now: at(0))
        #expect(lifecycle.decide(now: at(0)) == (hasRemains ? [.cleanUp] : []))
        lifecycle.apply(.cleanedUp, now: at(1))
        #expect(lifecycle.decide(now: at(1)) == [])
        #expect(lifecycle.stage == .clean)
    }

    @Test func theAgentFindsIt() async throws {
        let node = try TestNode()
        defer { node.remove() }
        let uid = over.text("metadata", "uid") ?? ""
        let remains = ["\(node.directory)/lib/pods/\(uid)", "\(node.directory)/lib/sandboxes/\(uid)"]
        for path in remains { try Files.makeDirectories("\(path)/1") }
        _ = try await node.network.attach(podKey: uid, namespacePath: "", hostname: "web")
        node.api.put(webPath, over)
        let before = node.api[webPath]
        try await node.withKubelet { _ in
            while remains.contains(where: Files.exists) || !node.network.state.withLock({ $0.attached.isEmpty }) {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        #expect(node.api[webPath] == before)
    }
}
