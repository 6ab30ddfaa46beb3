import Basics
import Cluster
import Glibc
import Linux
import Scenario
import SuiteFiles

/// Where scenarios come from: the paths given, the suite of the binary's checkout, or the one built into it.
struct ScenarioFiles {
    var paths: [String]

    func read() throws -> [Scenario] {
        guard let found = paths.isEmpty ? Self.suite().map({ [$0] }) : paths else {
            return try SuiteFiles.scenarios.map { try scenario($0.bytes, $0.name) }
        }
        var scenarios: [Scenario] = []
        for path in found {
            for file in try files(at: path) {
                let bytes: [UInt8]
                do { bytes = try Files.read(file, limit: 16 << 20) } catch {
                    throw Failure("cannot read the scenario: \(error)", remedy: "check the path")
                }
                scenarios.append(try scenario(bytes, file))
            }
        }
        guard !scenarios.isEmpty else {
            throw Failure("no scenario in \(found.joined(separator: ", "))", remedy: "scenarios are files *.yaml")
        }
        return scenarios
    }

    private func scenario(_ bytes: [UInt8], _ file: String) throws -> Scenario {
        do { return try Scenario(yaml: bytes, file: file) } catch {
            throw UsageError("\(error)", remedy: "'lab conformance --reference' describes the language")
        }
    }

    /// The programme's behaviours, as the suite lists them.
    static func behaviours() -> String {
        let text = suite().flatMap { try? Files.text("\($0)/behaviours.txt") }
        return text ?? SuiteFiles.behaviours
    }

    private func files(at path: String) throws -> [String] {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw Failure("there is no \(path)", remedy: "name a scenario file or a directory of them")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return [path] }
        return try Files.list(path).filter { $0.hasSuffix(".yaml") }.map { "\(path)/\($0)" }
    }

    /// `Conformance` in the checkout that the binary was built in, or in the working directory; nil where there is
    /// neither: then the suite is the one that was built into the binary.
    private static func suite() -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let binary = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var candidates: [String] = []
        var directory = binary.split(separator: "/").dropLast()
        while !directory.isEmpty {
            candidates.append("/" + directory.joined(separator: "/") + "/Conformance")
            directory = directory.dropLast()
        }
        return (candidates + ["Conformance"]).first { Files.exists("\($0)/behaviours.txt") }
    }
}
