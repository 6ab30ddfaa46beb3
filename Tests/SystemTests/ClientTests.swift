import Glibc
import Linux
import Testing

enum PythonClients {
    /// The interpreter that finds the installed clients; they are in the folder that LAB_CLIENTS names, or under
    /// `.build`.
    static let python: String? = {
        let named = getenv("LAB_CLIENTS").map { String(cString: $0) }
        let path = (named ?? APIProcess.root + "/.build/clients") + "/bin/python"
        return access(path, X_OK) == 0 ? path : nil
    }()
}

/// Programs that others wrote for Kubernetes, against an API server of their own each. `make test-clients` installs
/// them under `.build`.
@Suite(
    .serialized, .enabled(if: APIProcess.binary != nil, "there is no binary: build it, or name it in LAB_BINARY"),
    .enabled(if: PythonClients.python != nil, "the clients are not installed: 'make test-clients' does that"))
struct ClientTests {
    @Test(arguments: ["python_client", "kopf_operator", "helm_release"])
    func client(script: String) throws {
        let ran = try APIProcess.run(
            [
                "timeout", "120", PythonClients.python ?? "python3", "-B",
                "\(APIProcess.root)/Fixtures/clients/\(script).py",
            ])
        #expect(ran.code == 0, "\(ran)")
        #expect(ran.out.hasSuffix("all as expected\n"), "\(ran)")
    }
}
