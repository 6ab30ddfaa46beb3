import Glibc
import Testing

/// The style rules of the house as tests: import directions, banned calls, sizes, the formatter's verdict.
@Suite struct TidyTests {
    static let root: String = {
        let parts = #filePath.split(separator: "/").dropLast(3)
        return "/" + parts.joined(separator: "/")
    }()

    /// The layer of every module; a module imports lower layers only.
    static let layers: [String: Int] = [
        "CLinux": 0, "COpenSSL": 0, "CSQLite": 0, "CSeccomp": 0, "CArchive": 0, "CYAML": 0, "CDeflate": 0, "CZlib": 0,
        "Basics": 0,
        "Document": 1, "Linux": 1, "Wire": 2, "Schema": 2, "Kinds": 3, "Store": 3, "Images": 3, "Runtime": 3,
        "APIServer": 4, "Client": 4, "Controllers": 5, "Scheduler": 5, "Kubelet": 5, "Overlay": 5, "Proxy": 5,
        "Policy": 5, "DNS": 5, "Ingress": 5, "Cluster": 6, "Simulation": 6, "Scenario": 6, "Testbox": 6,
        "SuiteFiles": 6, "embed-suite": 8, "stamp-build": 8,
        "CLI": 7, "lab": 8, "lab-bench": 8,
    ]

    /// What nothing below may call, with the reason. Files named behind `except` are where it is at home.
    static let banned: [(call: String, why: String, except: [String])] = [
        ("import Foundation", "costs 50 MB and 10 MiB resident", []),
        ("import Dispatch", "tasks run on the event loop", []),
        ("Task.detached", "lifetime is structured", []),
        ("Task {", "lifetime is structured", ["Linux/EventLoop", "Simulation/"]),
        ("try!", "errors are values", []),
        ("as!", "a wrong cast is an error to report, not a crash", []),
        ("fatalError(", "say what is wrong and go on, or use precondition for programming errors", []),
        ("print(", "output goes through the console or the log", ["CLI/", "lab/", "lab-bench/", "Testbox/"]),
    ]

    struct Source {
        var path: String
        var module: String
        var lines: [Substring]
    }

    static let sources: [Source] = files(below: "\(root)/Sources").filter { $0.hasSuffix(".swift") }.map { path in
        let relative = path.dropFirst("\(root)/Sources/".count)
        return Source(
            path: String(relative), module: String(relative.prefix { $0 != "/" }),
            lines: read(path).split(separator: "\n", omittingEmptySubsequences: false))
    }

    static func read(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func files(below directory: String) -> [String] {
        guard let handle = opendir(directory) else { return [] }
        defer { closedir(handle) }
        var result: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(".") { continue }
            let path = "\(directory)/\(name)"
            if entry.pointee.d_type == UInt8(DT_DIR) { result += files(below: path) } else { result.append(path) }
        }
        return result.sorted()
    }

    @Test func importsGoDownward() {
        var wrong: [String] = []
        for source in Self.sources {
            guard let own = Self.layers[source.module] else {
                wrong.append("\(source.path): module \(source.module) has no layer")
                continue
            }
            for line in source.lines {
                let words = line.split(separator: " ")
                guard let at = words.firstIndex(of: "import"), at + 1 < words.count, at <= 2 else { continue }
                guard let other = Self.layers[String(words[at + 1])] else { continue }
                if other >= own, !(own == 0 && other == 0) { wrong.append("\(source.path): \(line)") }
            }
        }
        #expect(wrong.isEmpty, "imports that go sideways or upward:\n\(wrong.joined(separator: "\n"))")
    }

    @Test func everyModuleIsFound() {
        #expect(Self.sources.count > 50, "the walk over Sources finds next to nothing: is the root right?")
    }

    @Test func bannedCallsAreAbsent() {
        var wrong: [String] = []
        for source in Self.sources {
            for (number, line) in source.lines.enumerated() {
                let code = line.drop { $0 == " " }
                if code.hasPrefix("//") { continue }
                for rule in Self.banned where contains(code, rule.call) {
                    if rule.except.contains(where: { source.path.hasPrefix($0) }) { continue }
                    wrong.append("\(source.path):\(number + 1): '\(rule.call)' (\(rule.why))")
                }
            }
        }
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
    }

    /// Whether `call` stands in the line as a word of its own, not inside a longer name or a string.
    private func contains(_ line: Substring, _ call: String) -> Bool {
        var before: Character = " "
        var inString = false
        var rest = line
        while let first = rest.first {
            if first == "\"", before != "\\" { inString.toggle() }
            let isWordStart = !(before.isLetter || before.isNumber || before == "_" || before == ".")
            if !inString, isWordStart, rest.hasPrefix(call) { return true }
            before = first
            rest = rest.dropFirst()
        }
        return false
    }

    @Test func noFileIsPastHolding() {
        // Schema texts are data, one line a field.
        let long = Self.sources.filter { $0.lines.count > 700 && !$0.path.hasPrefix("Kinds/Groups/") }
        #expect(long.isEmpty, "split by concept: \(long.map { "\($0.path) (\($0.lines.count) lines)" })")
    }

    @Test func theFormatterAgrees() throws {
        var environment = ["/usr/bin/env", "swift", "format", "lint", "-s", "-r", "-p"]
        environment += ["\(Self.root)/Sources", "\(Self.root)/Tests", "\(Self.root)/Package.swift"]
        var pid: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        #expect(posix_spawn(&pid, "/usr/bin/env", nil, nil, &arguments, environ) == 0)
        var status: Int32 = 0
        #expect(waitpid(pid, &status, 0) == pid)
        #expect(status == 0, "run 'make fmt'")
    }
}
