import Basics
import Cluster
import Document
import Glibc
import Linux

extension Commands {
    static let netTrace = CommandSyntax(
        "net trace", operands: "pod/NS/POD pod/NS/POD|service/NS/SERVICE[:PORT[/udp]]", fewest: 2, most: 2,
        "Show the way of a connection through a cluster, and the rule that decides at each hop.",
        flags: [cluster, json])
    static let netDump = CommandSyntax(
        "net dump", operands: "pod/NS/POD|node/NODE", fewest: 1, most: 1,
        "Show the packets that pass a pod's link or a node's, until interrupted.",
        flags: [
            cluster, .init("w", .one, "FILE", "write them to FILE ('-': standard output) for tcpdump or Wireshark"),
            .init("c", .one, "N", "end after N packets"), .init("host", .one, "IP", "only from or to this address"),
            .init("port", .one, "N", "only from or to this port"),
        ])

    static let runNetTrace: CommandBody = { arguments, environment in
        let source = try Fault.Place(arguments.operands[0])
        let target = try NetworkTrace.Target(arguments.operands[1])
        try environment.requireRoot(for: "looking into a cluster's network")
        let name = arguments["cluster"] ?? "lab"
        try ClusterConfiguration.check(name: name)
        var trace = try NetworkTrace(cluster: name, host: environment.host)
        let hops = try await trace.follow(from: source, to: target)
        if arguments.has("json") {
            let items = hops.map { hop -> Document in
                ["place": Document(hop.place), "text": Document(hop.text), "refused": Document(hop.isRefusal)]
            }
            environment.console.out(Document(items).jsonText)
        } else {
            let width = hops.map(\.place.count).max() ?? 0
            for hop in hops {
                let place = hop.place + String(repeating: " ", count: width - hop.place.count)
                environment.console.out("\(hop.isRefusal ? "✗" : "·") \(place)  \(hop.text)")
            }
        }
        if hops.allSatisfy({ !$0.isRefusal }) { return }
        throw Failure("the connection does not arrive, or not at every endpoint", remedy: "")
    }

    static let runNetDump: CommandBody = { arguments, environment in
        let place = try Fault.Place(arguments.operands[0])
        func number(_ flag: String, most: Int) throws(UsageError) -> Int? {
            guard let text = arguments[flag] else { return nil }
            guard let number = Int(text), (1...most).contains(number) else {
                throw UsageError("'\(text)' is no number from 1 to \(most)", remedy: "see 'lab net dump --help'")
            }
            return number
        }
        let count = try number("c", most: .max)
        let port = try number("port", most: 65_535).map { UInt16($0) }
        let host = arguments["host"].flatMap { IPAddress($0) }
        if arguments.has("host"), host == nil {
            throw UsageError("--host is no address", remedy: "write it in numbers")
        }
        try environment.requireRoot(for: "looking into a cluster's network")
        let name = arguments["cluster"] ?? "lab"
        try ClusterConfiguration.check(name: name)
        let dump = try PacketDump(cluster: name, place: place, host: environment.host, loop: environment.loop)
        let (socket, link) = try await dump.open()
        let sink = try PacketSink(arguments["w"], environment.console)
        environment.console.err("listening at \(link)\(count == nil ? ", until interrupted" : "")")
        let clock = environment.world.clock
        let seen = try await withThrowingTaskGroup(of: Int?.self) { group in
            group.addTask {
                var seen = 0
                while seen < count ?? .max {
                    let frame = try await socket.next()
                    let packet = CapturedPacket(frame)
                    guard packet.concerns(host: host, port: port) else { continue }
                    try sink.take(frame, packet, at: clock.now)
                    seen += 1
                }
                return seen
            }
            group.addTask {
                try await environment.host.interruption()
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        if let seen { environment.console.err("\(seen) packets") }
    }
}

/// Where packets go: to a file in tcpdump's format, or as lines to the terminal.
private final class PacketSink: Sendable {
    private let descriptor: Int32?
    private let console: Console

    init(_ path: String?, _ console: Console) throws {
        self.console = console
        switch path {
        case nil: descriptor = nil
        case "-": descriptor = 1
        case let path?:
            let opened = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard opened >= 0 else { throw SystemError("open", path, errno: errno) }
            descriptor = opened
        }
        if let descriptor { try Files.writeAll(PacketFile.header, to: descriptor, name: "packets") }
    }

    deinit { if let descriptor, descriptor > 2 { close(descriptor) } }

    func take(_ frame: [UInt8], _ packet: CapturedPacket, at time: Timestamp) throws {
        guard let descriptor else { return console.out("\(time.rfc3339()) \(packet.text)") }
        try Files.writeAll(PacketFile.record(frame, at: time), to: descriptor, name: "packets")
    }
}
