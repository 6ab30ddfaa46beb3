import Basics
import Client
import Cluster
import Document
import Glibc
import Linux

// Measures a release binary (LAB_BINARY) on this machine and prints one table.
//
//     lab-bench [--quick] [--only api|scheduling|clusters|pods|names|network|images|containers|controllers] [--json FILE] [--compare FILE]
//
// The machine is often shared: read ratios and CPU per operation, not single absolute times.

struct Options {
    var json: String?
    var compare: String?
    var quick = false
    /// The one part to measure, where not all.
    var only: String?

    private static let parts = [
        "api", "scheduling", "clusters", "pods", "names", "network", "images", "containers", "controllers",
    ]

    init(_ words: [String]) throws {
        var rest = words[...]
        while let word = rest.popFirst() {
            switch word {
            case "--quick": quick = true
            case "--json": json = rest.popFirst()
            case "--compare": compare = rest.popFirst()
            case "--only":
                only = rest.popFirst()
                guard let only, Self.parts.contains(only) else {
                    throw UsageError(
                        "--only does not know that part", remedy: "choose one of \(Self.parts.joined(separator: ", "))")
                }
            default:
                throw UsageError(
                    "unknown flag '\(word)'",
                    remedy: "--quick, --only \(Self.parts.joined(separator: "|")), --json FILE, --compare FILE")
            }
        }
    }
}

func say(_ text: String) { try? Files.writeAll(Array((text + "\n").utf8), to: 2, name: "standard error") }

func measure(_ options: Options, loop: EventLoop) async throws {
    let scheduling = Scheduling(world: .live(loop), pods: options.quick ? 1_000 : 10_000)
    if options.only == "scheduling" {
        let earlier = try options.compare.map { try Document(json: try Files.read($0)) }
        return try finish(try scheduling.measure(), options, earlier)
    }
    let names = Names(world: .live(loop), directory: "/tmp/lab-bench-names-\(getpid())", quick: options.quick)
    if options.only == "names" {
        defer { try? Files.removeTree(names.directory) }
        let earlier = try options.compare.map { try Document(json: try Files.read($0)) }
        return try finish(try await names.measure(), options, earlier)
    }
    if options.only == "network" {
        let earlier = try options.compare.map { try Document(json: try Files.read($0)) }
        let rows = try NetworkBench(world: .live(loop), quick: options.quick).measure()
        return try finish(
            rows + (try await ThroughputBench(world: .live(loop), quick: options.quick).measure()), options, earlier)
    }
    guard let binary = getenv("LAB_BINARY").map({ String(cString: $0) }), geteuid() == 0 else {
        throw UsageError("needs root and the release binary", remedy: "run 'sudo make bench'")
    }
    let earlier = try options.compare.map { try Document(json: try Files.read($0)) }
    let home = "/var/tmp/lab-bench-\(getpid())"
    try Files.makeDirectories(home)
    defer { try? Files.removeTree(home) }
    let measurements = Measurements(binary: binary, home: home, world: .live(loop))
    var rows: [Row] = []

    if options.only == "clusters" {
        rows = try Clusters(binary: binary, home: home, world: .live(loop), quick: options.quick).measure()
        return try finish(rows, options, earlier)
    }
    let controlling = Controlling(binary: binary, home: home, world: .live(loop), quick: options.quick)
    if options.only == "controllers" { return try finish(try await controlling.measure(), options, earlier) }
    if options.only == "pods" {
        rows = try await Pods(binary: binary, home: home, world: .live(loop), quick: options.quick).measure()
        return try finish(rows, options, earlier)
    }
    if options.only == nil || options.only == "images" {
        say("==> images")
        rows += try Images(binary: binary, directory: home, world: .live(loop), quick: options.quick).measure()
    }
    if options.only == "images" { return try finish(rows, options, earlier) }
    if options.only != "api" {
        say("==> start-up and containers")
        rows.append(try measurements.startUp())
        rows += try await Containers(world: .live(loop)).measure(runs: options.quick ? 5 : 30)
    }
    if options.only == "containers" { return try finish(rows, options, earlier) }
    if options.only == nil {
        say("==> scheduling")
        rows += try scheduling.measure()
        rows += try await controlling.measure()
    }
    if options.only == nil {
        say("==> services and policies")
        rows += try NetworkBench(world: .live(loop), quick: options.quick).measure()
        rows += try await ThroughputBench(world: .live(loop), quick: options.quick).measure()
    }
    say("==> calling the API server")
    rows += try await Serving(
        binary: binary, directory: home, world: .live(loop), quick: options.quick
    ).measure()
    if options.only == "api" { return try finish(rows, options, earlier) }
    say("==> creating clusters")
    rows += try measurements.creation(runs: options.quick ? 2 : 5)
    do {
        // Idle means settled: start-up garbage is returned after a few seconds.
        try await measurements.world.clock.sleep(for: .seconds(5))
        rows += try measurements.memory()
        say("==> starting pods")
        rows.append(try await measurements.podStarts(count: options.quick ? 10 : 100))
    } catch {
        try? measurements.deletion()
        throw error
    }
    try measurements.deletion()

    try finish(rows, options, earlier)
}

func finish(_ rows: [Row], _ options: Options, _ earlier: Document?) throws {
    let text = Report.table(rows, earlier: earlier)
    try Files.writeAll(Array((text + "\n").utf8), to: 1, name: "standard output")
    if let path = options.json { try Files.write(Document(rows.map(\.document)).json, to: path) }
}

do {
    let words = Array(CommandLine.arguments.dropFirst())
    if words.first == Names.role {
        try EventLoop.run { loop in try await Names.serve(words, loop: loop) }
        exit(0)
    }
    let options = try Options(words)
    try EventLoop.run { loop in try await measure(options, loop: loop) }
} catch {
    say("error: \(error)")
    exit(1)
}
