import Basics
import Glibc
import Linux
import Wire

/// The program inside the test image: small behaviours that scenarios put into pods.
/// Returns the exit code; 2 is for a call that it does not understand.
public func runTestbox(arguments: [String]) -> Int32 {
    let behaviour: Behaviour
    do {
        behaviour = try Behaviour(arguments)
    } catch {
        Output.error("testbox: \(error)\n\(Behaviour.usage)")
        return 2
    }
    // Before the loop, which would keep the signals for itself.
    if behaviour == .cat { return copyInput() }
    do {
        return try EventLoop.run { loop in
            let signals = try await SignalSource([SIGTERM, SIGINT], loop: loop)
            let testbox = Testbox(world: .live(loop), signals: signals)
            return try await testbox.run(behaviour)
        }
    } catch {
        Output.error("testbox: \(error)")
        return 1
    }
}

/// Standard input to standard output. Blocking, so without the loop: nothing else happens meanwhile.
func copyInput() -> Int32 {
    // The first process of a pid namespace gets no signal that it has not asked for.
    signal(SIGTERM) { _ in _exit(143) }
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = read(0, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return count == 0 ? 0 : 1 }
        do { try Files.writeAll(Array(buffer.prefix(count)), to: 1, name: "standard output") } catch { return 1 }
    }
}

struct UsageError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

/// What the program was asked to do.
enum Behaviour: Equatable {
    /// Healthy for ever, or so long after its start.
    case serve(port: UInt16, healthy: Duration? = nil, datagrams: UInt16? = nil)
    case health(port: UInt16, status: UInt8)
    case hooks(port: UInt16, directory: String, names: [String])
    case group(port: UInt16, group: String, version: String, authority: String, names: [String])
    case checkToken(issuer: URL)
    case keep(Keeper)
    case get(url: URL, timeout: Duration, count: Int)
    case ask(host: String, port: UInt16, timeout: Duration, count: Int)
    case fetch(Fetch)
    case lookup(name: String, type: String, overTCP: Bool = false)
    case sleep(Duration)
    case exit(Int32)
    case burn(Duration)
    case eat(megabytes: Int)
    case awaitText(path: String, text: String)
    case awaitNothing(path: String)
    case fill(path: String, megabytes: Int, pause: Duration)
    case echo(String)
    case file(FileBehaviour)
    case cat

    static let usage = """
        usage: testbox serve [--port 8080] [--healthy SECONDS] [--datagrams PORT]
               testbox health [--port 8080] [--status 1]
               testbox hooks DIRECTORY HOST... [--port 8443]
               testbox group GROUP VERSION CLIENT_AUTHORITY HOST... [--port 8443]
               testbox keep [--port 8080] [--writes URL] [--reads URL]
               testbox check-token [http://HOST]
               testbox get URL [--timeout SECONDS] [--repeat N]
               testbox ask udp://HOST:PORT [--timeout SECONDS] [--repeat N]
               testbox fetch URL [--to ADDRESS] [--method M] [--header 'NAME: VALUE'] [--body TEXT] [--say TEXT]
               testbox lookup NAME [TYPE] [--over tcp]
               testbox sleep SECONDS | exit CODE | burn SECONDS | eat MEGABYTES | echo TEXT... | cat
               testbox write PATH TEXT... [--mode 644] | read PATH | show PATH | survey PATH... | remove PATH
               testbox await PATH TEXT... | await-nothing PATH
               testbox mount PATH | unmount PATH
               testbox link TARGET PATH | fill PATH MEGABYTES [--then-sleep SECONDS] | limits
        """

    init(_ arguments: [String]) throws(UsageError) {
        var words = arguments[...]
        guard let name = words.popFirst() else { throw UsageError("what to do?") }
        if name == "echo" {
            self = .echo(words.joined(separator: " "))
            return
        }
        if name == "fetch" {
            self = .fetch(try Fetch(words))
            return
        }
        let known: [String: [String]] = [
            "serve": ["port", "healthy", "datagrams"], "health": ["port", "status"], "hooks": ["port"],
            "keep": ["port", "writes", "reads"], "group": ["port"], "get": ["timeout", "repeat"],
            "ask": ["timeout", "repeat"], "lookup": ["over"], "fill": ["then-sleep"], "write": ["mode"],
        ]
        var flags: [String: String] = [:]
        var operands: [String] = []
        while let word = words.popFirst() {
            guard word.hasPrefix("--") else {
                operands.append(word)
                continue
            }
            let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1).map(String.init)
            guard let flag = parts.first, known[name]?.contains(flag) == true else {
                throw UsageError("\(name) has no flag \(word)")
            }
            guard let value = parts.count == 2 ? parts[1] : words.popFirst() else {
                throw UsageError("\(word) needs a value")
            }
            flags[flag] = value
        }
        self = try Self.make(name, operands, flags)
    }

    private static func make(
        _ name: String, _ operands: [String], _ flags: [String: String]
    ) throws(UsageError) -> Behaviour {
        func number<T: LosslessStringConvertible>(_ text: String, _ what: String) throws(UsageError) -> T {
            guard let value = T(text) else { throw UsageError("\(what): \"\(text)\" is no number that fits") }
            return value
        }
        func seconds(_ text: String, _ what: String) throws(UsageError) -> Duration {
            let value: Double = try number(text, what)
            guard value >= 0, value < 1e9 else { throw UsageError("\(what): \"\(text)\" is out of range") }
            return .seconds(value)
        }
        func expect(_ range: ClosedRange<Int>) throws(UsageError) {
            guard range.contains(operands.count) else {
                let (fewest, most) = (range.lowerBound, range.upperBound)
                let words = fewest == most ? "\(most) words" : "\(fewest) to \(most) words"
                throw UsageError("\(name) takes \(most == 0 ? "no words, but flags alone" : words)")
            }
        }
        switch name {
        case "serve":
            try expect(0...0)
            let healthy = flags["healthy"]
            var datagrams: UInt16?
            if let text = flags["datagrams"] { datagrams = try number(text, "--datagrams") }
            return .serve(
                port: try number(flags["port"] ?? "8080", "--port"),
                healthy: healthy == nil ? .none : try seconds(healthy ?? "", "--healthy"), datagrams: datagrams)
        case "health":
            try expect(0...0)
            return .health(
                port: try number(flags["port"] ?? "8080", "--port"),
                status: try number(flags["status"] ?? "1", "--status"))
        case "hooks":
            try expect(2...10)
            return .hooks(
                port: try number(flags["port"] ?? "8443", "--port"), directory: operands[0],
                names: Array(operands.dropFirst()))
        case "group":
            try expect(4...10)
            return .group(
                port: try number(flags["port"] ?? "8443", "--port"), group: operands[0], version: operands[1],
                authority: operands[2], names: Array(operands.dropFirst(3)))
        case "keep":
            try expect(0...0)
            var keeper = Keeper(port: try number(flags["port"] ?? "8080", "--port"))
            if let place = flags["writes"] { keeper.writes = try URL(place) }
            if let place = flags["reads"] { keeper.reads = try URL(place) }
            return .keep(keeper)
        case "check-token":
            try expect(0...1)
            return .checkToken(issuer: try URL(operands.first ?? "http://kubernetes.default.svc"))
        case "get", "ask":
            try expect(1...1)
            let count: Int = try number(flags["repeat"] ?? "1", "--repeat")
            guard (1...1_000_000).contains(count) else { throw UsageError("--repeat \(count) is out of range") }
            let timeout = try seconds(flags["timeout"] ?? "5", "--timeout")
            guard name == "ask" else { return .get(url: try URL(operands[0]), timeout: timeout, count: count) }
            let url = try URL(operands[0], scheme: "udp")
            return .ask(host: url.host, port: url.port, timeout: timeout, count: count)
        case "lookup":
            try expect(1...2)
            let transport = flags["over"] ?? "udp"
            guard ["udp", "tcp"].contains(transport) else { throw UsageError("--over is udp or tcp") }
            return .lookup(
                name: operands[0], type: operands.count > 1 ? operands[1].uppercased() : "A",
                overTCP: transport == "tcp")
        case "cat":
            try expect(0...0)
            return .cat
        case "sleep":
            try expect(1...1)
            return .sleep(try seconds(operands[0], name))
        case "exit":
            try expect(1...1)
            return .exit(Int32(try number(operands[0], name) as UInt8))
        case "burn":
            try expect(1...1)
            return .burn(try seconds(operands[0], name))
        case "eat":
            try expect(1...1)
            let megabytes: Int = try number(operands[0], name)
            guard (0...1_000_000).contains(megabytes) else { throw UsageError("eat \(megabytes) is out of range") }
            return .eat(megabytes: megabytes)
        case "write":
            try expect(2...1_000)
            let text = operands.dropFirst().joined(separator: " ")
            guard let mode = flags["mode"] else { return .file(.write(path: operands[0], text: text)) }
            guard let bits = mode_t(mode, radix: 8), bits <= 0o7777 else { throw UsageError("--mode \(mode) is none") }
            return .file(.write(path: operands[0], text: text, mode: bits))
        case "read":
            try expect(1...1)
            return .file(.read(path: operands[0]))
        case "show":
            try expect(1...1)
            return .file(.show(path: operands[0]))
        case "survey":
            try expect(1...1_000)
            return .file(.survey(paths: operands))
        case "await-nothing":
            try expect(1...1)
            return .awaitNothing(path: operands[0])
        case "await":
            try expect(2...1_000)
            return .awaitText(path: operands[0], text: operands.dropFirst().joined(separator: " "))
        case "remove":
            try expect(1...1)
            return .file(.remove(path: operands[0]))
        case "fill":
            try expect(2...2)
            let megabytes: Int = try number(operands[1], name)
            guard (0...1_000).contains(megabytes) else { throw UsageError("fill \(megabytes) is out of range") }
            return .fill(
                path: operands[0], megabytes: megabytes, pause: try seconds(flags["then-sleep"] ?? "0", "--then-sleep"))
        case "link":
            try expect(2...2)
            return .file(.link(target: operands[0], path: operands[1]))
        case "mount":
            try expect(1...1)
            return .file(.mount(path: operands[0]))
        case "unmount":
            try expect(1...1)
            return .file(.unmount(path: operands[0]))
        case "limits":
            try expect(0...0)
            return .file(.limits)
        default: throw UsageError("\"\(name)\" is nothing I can do")
        }
    }
}

/// `http://HOST[:PORT][/PATH]`.
struct URL: Equatable {
    var host: String
    var port: UInt16
    var target: String

    init(_ text: String, scheme: String = "http") throws(UsageError) {
        let prefix = "\(scheme)://"
        guard text.hasPrefix(prefix) else { throw UsageError("\"\(text)\" does not start with \(prefix)") }
        let rest = text.dropFirst(prefix.count)
        let end = rest.firstIndex(where: { $0 == "/" || $0 == "?" }) ?? rest.endIndex
        target = String(rest[end...])
        if !target.hasPrefix("/") { target = "/" + target }
        var authority = rest[..<end]
        port = 80
        // The colons of an IPv6 address stand inside brackets.
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            guard let number = UInt16(authority[authority.index(after: colon)...]) else {
                throw UsageError("\"\(text)\" has no valid port")
            }
            port = number
            authority = authority[..<colon]
        }
        if authority.hasPrefix("["), authority.hasSuffix("]") { authority = authority.dropFirst().dropLast() }
        host = String(authority)
        guard !host.isEmpty else { throw UsageError("\"\(text)\" names no host") }
    }

    var authority: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }
}

/// Whole lines on the standard streams; a reader that went away is no reason to fail.
enum Output {
    static func line(_ text: String) { write(text, to: 1) }
    static func error(_ text: String) { write(text, to: 2) }

    private static func write(_ text: String, to file: Int32) {
        try? Files.writeAll(Array((text + "\n").utf8), to: file, name: "standard output")
    }
}
