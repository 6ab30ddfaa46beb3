import Basics
import Cluster
import Document
import Glibc
import Images
import Linux

/// The commands that concern the content store alone.
extension ImageCommands {
    static let runLoad: CommandBody = { arguments, environment in
        try checkName(arguments, environment)
        try await load(arguments.operands, environment)
    }

    /// By way of an archive: what docker and podman keep on disk is their own affair.
    static let runLoadImage: CommandBody = { arguments, environment in
        try checkName(arguments, environment)
        if let from = arguments["from"], !["docker", "podman"].contains(from) {
            throw UsageError("--from '\(from)' is neither docker nor podman", remedy: "choose one, or leave it out")
        }
        _ = try store(environment, for: "loading images")
        let programs = arguments["from"].map { [$0] } ?? ["docker", "podman"]
        var buffer = Array("/var/tmp/lab-load-XXXXXX".utf8CString)
        guard mkdtemp(&buffer) != nil else { throw SystemError("mkdtemp", "/var/tmp", errno: errno) }
        let directory = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? Files.removeTree(directory) }
        for (index, image) in arguments.operands.enumerated() {
            let archive = "\(directory)/\(index).tar"
            try await environment.console.step("Saving \(image)") {
                try await environment.host.blocking.run { try save(image, with: programs, to: archive) }
            }
            try await load([archive], environment, as: image)
        }
    }

    private static func save(_ image: String, with programs: [String], to archive: String) throws {
        var reasons: [String] = []
        for program in programs {
            let format = program == "podman" ? ["--format", "docker-archive"] : []
            let ran = Command([program, "save"] + format + ["-o", archive, image]).wait()
            if ran.code == 0, Files.exists(archive) { return }
            unlink(archive)
            let said = ran.err.split(separator: "\n").last.map(String.init) ?? "exit code \(ran.code)"
            reasons.append("\(program): \(ran.code == 127 ? "not installed" : said)")
        }
        throw Failure(
            "no image '\(image)': \(reasons.joined(separator: "; "))",
            remedy: "'docker images' or 'podman images' tell those there are; 'lab load FILE' takes archives")
    }

    /// kind's `--name`. The nodes of every cluster share one store; a cluster that is not there is an error nevertheless.
    private static func checkName(_ arguments: Arguments, _ environment: Environment) throws {
        guard let name = arguments["name"], !environment.host.index.names.contains(name) else { return }
        throw Failure("there is no cluster '\(name)'", remedy: "'lab list' shows those there are")
    }

    private static func load(_ archives: [String], _ environment: Environment, as name: String? = nil) async throws {
        let store = try store(environment, for: "loading images")
        let console = environment.console
        for archive in archives {
            let loaded = try await console.step("Loading \(name ?? archive)") {
                try await environment.host.blocking.run {
                    try store.load(archive: archive, progress: { console.waiting(for: $0) })
                }
            }
            for image in loaded {
                console.out(
                    image.names.isEmpty ? "loaded \(image.id)" : "loaded \(image.names.joined(separator: ", "))")
            }
        }
    }

    static let runSave: CommandBody = { arguments, environment in
        let store = try store(environment, for: "reading the content store")
        guard let output = arguments["output"] else {
            throw UsageError("--output is missing", remedy: "lab image save --output FILE REFERENCE...")
        }
        let format = arguments["format"] ?? "oci"
        let references = arguments.operands
        try await environment.host.blocking.run {
            switch format {
            case "oci": try store.save(references, to: output)
            case "oci-dir": try store.save(references, asLayout: output)
            case "docker": try store.save(references, asDockerArchive: output)
            default: throw UsageError("unknown format '\(format)'", remedy: "oci, oci-dir or docker")
            }
        }
    }

    static let runList: CommandBody = { arguments, environment in
        let store = try store(environment, for: "reading the content store")
        let images = try await environment.host.blocking.run { try store.list() }
        if arguments.has("json") {
            let items = images.map { image -> Document in
                [
                    "id": Document(image.id), "digest": Document(image.digest), "names": Document(image.names),
                    "repoDigests": Document(image.repoDigests), "size": Document(image.size),
                ]
            }
            environment.console.out(Document(items).jsonText)
            return
        }
        let withDigests = arguments.has("digests")
        let rows = images.flatMap { image in
            (image.names.isEmpty ? [unnamed(image)] : image.names).map { name in
                [name] + (withDigests ? [image.digest] : []) + [shortID(image.id), Size.text(image.size)]
            }
        }
        environment.console.out(
            Table.text(["IMAGE"] + (withDigests ? ["DIGEST"] : []) + ["ID", "SIZE"], rows))
    }

    private static func unnamed(_ image: Image) -> String {
        image.repoDigests.first.map { "\($0.prefix { $0 != "@" }):<none>" } ?? "<none>"
    }

    private static func shortID(_ id: String) -> String { String(id.dropFirst("sha256:".count).prefix(12)) }

    static let runInspect: CommandBody = { arguments, environment in
        let store = try store(environment, for: "reading the content store")
        let references = arguments.operands
        let all = try await environment.host.blocking.run {
            try references.map { reference -> Document in
                guard let details = try store.details(reference) else { throw absent(reference) }
                let configuration = details.configuration
                var document: Document = [
                    "Id": Document(details.image.id), "RepoTags": Document(details.image.names),
                    "RepoDigests": Document(details.image.repoDigests), "Digest": Document(details.image.digest),
                    "Size": Document(details.image.size), "Manifest": details.manifest,
                ]
                let names = [
                    ("Created", "created"), ("Author", "author"), ("Architecture", "architecture"), ("Os", "os"),
                    ("Variant", "variant"), ("Config", "config"),
                ]
                for (name, member) in names {
                    if let value = configuration[member] { document[name] = value }
                }
                document["RootFS"] = [
                    "Type": "layers", "Layers": configuration.at("rootfs", "diff_ids") ?? .emptyArray,
                ]
                document["Directories"] = Document(details.image.layerDirectories)
                return document
            }
        }
        environment.console.out(Document(all).jsonText)
    }

    static let runHistory: CommandBody = { arguments, environment in
        let store = try store(environment, for: "reading the content store")
        let reference = arguments.operands[0]
        guard let details = try await environment.host.blocking.run({ try store.details(reference) }) else {
            throw absent(reference)
        }
        var sizes = details.manifest.list("layers").map { Int64($0.number("size") ?? 0) }[...]
        var steps: [[String]] = []
        let history = details.configuration.list("history")
        for step in history {
            let size = step.flag("empty_layer") == true ? 0 : sizes.popFirst() ?? 0
            steps.append([
                step.text("created") ?? "", step.text("created_by") ?? "", Size.text(size), step.text("comment") ?? "",
            ])
        }
        // Layers that no step speaks of are there all the same.
        steps += sizes.map { ["", "<missing>", Size.text($0), ""] }
        if arguments.has("json") { return environment.console.out(Document(history).jsonText) }
        environment.console.out(
            Table.text(
                ["CREATED", "CREATED BY", "SIZE", "COMMENT"],
                steps.reversed().map { [$0[0], String($0[1].prefix(60)), $0[2], $0[3]] }))
    }

    static let runTag: CommandBody = { arguments, environment in
        let store = try store(environment, for: "naming images")
        let (reference, name) = (arguments.operands[0], arguments.operands[1])
        try await environment.host.blocking.run { try store.tag(reference, as: name) }
    }

    static let runRemove: CommandBody = { arguments, environment in
        let store = try store(environment, for: "removing images")
        try forgetDeadClusters(store, environment)
        for reference in arguments.operands {
            try await environment.host.blocking.run { try store.remove(reference) }
            environment.console.out("removed \(reference)")
        }
    }

    static let runPrune: CommandBody = { arguments, environment in
        let store = try store(environment, for: "removing images")
        try forgetDeadClusters(store, environment)
        let age = try arguments["older-than"].map { try Duration.parse($0) }
        let limit = age.map { environment.world.clock.now + (.zero - $0) }
        let all = arguments.has("all")
        let outcome = try await environment.host.blocking.run { try store.prune(all: all, unusedSince: limit) }
        for name in outcome.removed { environment.console.out("removed \(name)") }
        environment.console.out("Total reclaimed space: \(Size.text(outcome.freed))")
    }

    private static func absent(_ reference: String) -> Failure {
        Failure("no such image: \(reference)", remedy: "'lab image list' shows those there are")
    }

    /// A cluster that is not there any more uses nothing, however it went.
    private static func forgetDeadClusters(_ store: ImageStore, _ environment: Environment) throws {
        let names = Set(environment.host.index.names)
        try store.forget { owner in !names.contains(String(owner.prefix { $0 != "." })) }
    }
}

extension ImageCommands {
    static let runMake: CommandBody = { arguments, environment in
        let store = try store(environment, for: "making images")
        let cache = arguments["cache"] ?? "\(environment.host.layout.home)/packages"
        guard arguments["tag"] == nil || arguments.operands.count == 1 else {
            throw UsageError("--tag goes with one file", remedy: "make the images one by one")
        }
        let tag = arguments["tag"]
        let console = environment.console
        for file in arguments.operands {
            let definition = try ImageDefinition(yaml: try Files.read(file, limit: 1 << 20), file: file)
            let folder = file.lastIndex(of: "/").map { String(file[..<$0]) } ?? "."
            let image = try await console.step("Making \(file)") {
                try await environment.host.blocking.run {
                    try store.make(
                        definition, relativeTo: folder, cache: cache, as: tag, progress: { console.waiting(for: $0) })
                }
            }
            console.out("made \(image.names.joined(separator: ", ")), \(Size.text(image.size))")
        }
    }
}
