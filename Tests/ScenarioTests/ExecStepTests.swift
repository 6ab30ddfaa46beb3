import Basics
import Client
import Document
import Synchronization
import Testing
import Wire

@testable import Scenario

/// A cluster whose containers run one program: it says what it was given, and ends with the code that its first
/// argument is.
private struct ExecCluster: UpgradingTransport {
    let cluster = FakeCluster()

    func send(_ request: Request) async throws -> any ResponseStream { try await cluster.send(request) }

    func upgrade(_ request: Request) async throws -> Upgrade {
        cluster.state.withLock { $0.requests.append(request) }
        guard request.target.contains("container=c&") else {
            return .refused(FakeCluster.failure(400, "BadRequest", "container is not valid"))
        }
        let network = MemoryNetwork()
        let listener = try await network.listen(on: .ip(.loopback, port: 1))
        let near = try await network.connect(to: .ip(.loopback, port: 1))
        let far = try await listener.accept()
        let socket = WebSocketConnection(far, role: .server, random: Counting())
        let headers = try WebSocketHandshake.agree(to: request, protocol: "v5.channel.k8s.io")
        let input = Array("said".utf8)
        // What a server says does not depend on when it is read.
        try await socket.send([1] + input)
        try await socket.send([2] + Array("moaned".utf8))
        let code = request.target.contains("command=3") ? 3 : 0
        let status: Document =
            code == 0
            ? ["status": "Success"]
            : [
                "status": "Failure", "reason": "NonZeroExitCode",
                "details": ["causes": [["reason": "ExitCode", "message": Document(String(code))]]],
            ]
        try await socket.send([3] + status.json)
        try await socket.close(1000)
        return .switched(headers, near)
    }
}

struct ExecStepTests {
    private func run(_ steps: String) async throws -> ScenarioResult.Outcome? {
        let cluster = ExecCluster()
        let body = steps.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
        let scenario = try Scenario(yaml: Array("name: x\nsteps:\n\(body)\n".utf8), file: "x.yaml")
        let result = await Suite([scenario], options: SuiteOptions()).run(
            on: Ground(access: ClusterAccess(transport: cluster, anonymous: cluster)), world: cluster.cluster.world,
            stop: StopSignal(), progress: { _ in })
        return result.results.first?.outcome
    }

    @Test func whatAProgramSaysAndItsCodeAreChecked() async throws {
        let passed = try await run(
            """
            - exec: {pod: p, container: c, command: ["0", "a b"], stdout: {equals: said}, stderr: {contains: [moan]}}
              save: {words: "{.stdout}"}
            - exec: {pod: p, container: c, command: ["3", "${words}"], stdin: x, exit: 3}
            - exec: {pod: p, command: ["0"]}
              fails: {code: 400, reason: BadRequest}
            - as: {user: someone}
              exec: {pod: p, container: c, command: ["0"]}
            """)
        #expect(passed == .passed)
    }

    @Test(arguments: [
        ("{pod: p, container: c, command: ['3']}", "expected exit code 0, got 3: saidmoaned"),
        ("{pod: p, container: c, command: ['0'], exit: {atLeast: 1}}", "expected exit code at least 1, got 0"),
        ("{pod: p, container: c, command: ['0'], stdout: {equals: other}}", "stdout: "),
        ("{pod: p, command: ['0']}", "the server refused: container is not valid (400 BadRequest)"),
    ])
    func whatIsWrongIsTold(_ step: String, _ problem: String) async throws {
        guard case .failed(_, let problems)? = try await run("- exec: \(step)") else {
            Issue.record("it did not fail")
            return
        }
        #expect(problems.contains { $0.hasPrefix(problem) }, "\(problems)")
    }
}
