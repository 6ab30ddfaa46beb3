import Linux
import Testing

/// All scenarios against a cluster of three nodes. `make test` runs this one by itself, after all others.
@Suite(.serialized, .enabled(if: Machine.canCreate, "\(Machine.why)"))
struct SuiteTests {
    @Test func theScenariosPass() {
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
        // A suite that runs nothing has proved nothing.
        let nothing = lab.lab("conformance", "--cluster", lab.name, "--focus", "no such", "/\(checkout)/Conformance")
        #expect(nothing.code == 1, "\(nothing)")
    }
}
