import Basics
import Document
import Linux
import Testing

/// All scenarios against a cluster of three nodes. `make test` runs this one by itself, after all others.
@Suite(.serialized, .enabled(if: Machine.canCreate, "\(Machine.why)"))
struct SuiteTests {
    /// The cluster's kubeconfig as clouds write theirs.
    private func foreignKubeconfig(_ lab: Lab) throws -> String {
        let path = "\(lab.home)/foreign"
        var document = try Document(yaml: Files.read(lab.kubeconfig))
        var cluster = try #require(document.list("clusters").first?["cluster"])
        let port = try #require(cluster.text("server")?.split(separator: ":").last)
        cluster["server"] = Document("https://localhost:\(port)")
        let user = try #require(document.list("users").first?["user"])
        func decoded(_ field: String) throws -> Document {
            Document(String(decoding: try #require(Base64.decode(user.text(field) ?? "")), as: UTF8.self))
        }
        let answer: Document = [
            "kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
            "status": [
                "clientCertificateData": try decoded("client-certificate-data"),
                "clientKeyData": try decoded("client-key-data"),
            ],
        ]
        try Files.write(answer.json, to: "\(path).answer")
        let exec: Document = [
            "apiVersion": "client.authentication.k8s.io/v1", "command": "cat", "args": [Document("\(path).answer")],
            "interactiveMode": "Never",
        ]
        let name = Document(document.list("users").first?.text("name") ?? "")
        document["clusters"] = [["name": name, "cluster": cluster]]
        document["users"] = [["name": name, "user": ["exec": exec]]]
        try Files.write(document.yaml, to: path)
        return path
    }

    @Test func theScenariosPass() throws {
        let lab = Lab("suite")
        defer { lab.tearDown() }
        #expect(lab.lab("create", lab.name).code == 0)
        let junit = "\(lab.home)/junit.xml"
        let checkout = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let ran = lab.lab("conformance", "--cluster", lab.name, "--junit", junit, "/\(checkout)/Conformance")
        let trouble = ran.out.split(separator: "\n").filter { !$0.contains("✓") }.joined(separator: "\n") + ran.err
        #expect(ran.code == 0, "\(trouble)")
        let count = ((try? Files.list("/\(checkout)/Conformance")) ?? []).filter { $0.hasSuffix(".yaml") }.count
        // A file with cases has a result for each; without kubectl those that are about it are left out, with the reason.
        let summary = ran.out.split(separator: "\n").first { $0.contains(" passed, 0 failed") } ?? ""
        let words = summary.split(whereSeparator: { $0 == " " || $0 == "," }).map(String.init)
        func number(of what: String) -> Int {
            words.firstIndex(of: what).flatMap { $0 > 0 ? Int(words[$0 - 1]) : nil } ?? 0
        }
        let (passed, skipped) = (number(of: "passed"), number(of: "skipped"))
        #expect(passed >= 5 && passed + skipped >= count, "\(trouble)")
        #expect(skipped == 0 || !Machine.hasKubectl, "\(trouble)")
        #expect(Shell.run(["grep", "-c", "<testcase", junit]).out == "\(passed + skipped)\n")
        // Any cluster will do: the same through a kubeconfig.
        let other = lab.lab(
            "conformance", "--kubeconfig", lab.kubeconfig, "--focus", "01-pod", "/\(checkout)/Conformance")
        #expect(other.code == 0, "\(other)")
        // And where the server is known by name, and a program gives its user's certificate.
        let foreign = try foreignKubeconfig(lab)
        let third = lab.lab("conformance", "--kubeconfig", foreign, "--focus", "01-pod", "/\(checkout)/Conformance")
        #expect(third.code == 0, "\(third)")
        let silent = "\(lab.home)/silent"
        let server = "server: https://127.0.0.1:1"
        _ = Shell.run(["sh", "-c", "sed 's#server: .*#\(server)#' \(lab.kubeconfig) >\(silent)"])
        let alone = lab.lab("conformance", "--kubeconfig", silent, "/\(checkout)/Conformance")
        #expect(alone.code == 1 && alone.err.contains("cannot be reached") && alone.out.isEmpty, "\(alone)")
        // A suite that runs nothing has proved nothing.
        let nothing = lab.lab("conformance", "--cluster", lab.name, "--focus", "no such", "/\(checkout)/Conformance")
        #expect(nothing.code == 1, "\(nothing)")
    }
}
