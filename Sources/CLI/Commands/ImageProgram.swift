import Cluster
import Kinds

/// `lab image COMMAND`: the commands of the content store, as a group of their own.
enum ImageProgram {
    private static let shortForms = ["ls": "list", "rm": "remove", "build": "make", "images": "list"]

    static func run(_ words: [String], build: BuildOrigin) -> Int32 {
        guard let word = words.first, !["help", "--help", "-h"].contains(word) else {
            return help(Array(words.dropFirst()))
        }
        return Program.report {
            try Program.perform(
                try syntax(word), Array(words.dropFirst()), build: build, ImageCommands.implementations)
        }
    }

    static func help(_ words: [String]) -> Int32 {
        guard let word = words.first else {
            Console.line(overview)
            return Program.Exit.success
        }
        return Program.report { Console.line(try syntax(word).help) }
    }

    private static func syntax(_ word: String) throws -> CommandSyntax {
        let name = "image \(shortForms[word] ?? word)"
        guard let syntax = ImageCommands.all.first(where: { $0.name == name }) else {
            throw UsageError("unknown command 'image \(word)'", remedy: "'lab image --help' lists the commands")
        }
        return syntax
    }

    private static var overview: String {
        let width = ImageCommands.all.map(\.name.count).max() ?? 0
        var text =
            "Images: one content store, shared by all nodes of all clusters.\n\nusage: lab image COMMAND [flags]\n\n"
        for command in ImageCommands.all {
            let padding = String(repeating: " ", count: width - command.name.count)
            text += "  \(command.name)\(padding)  \(command.summary)\n"
        }
        return text + "\n'lab image COMMAND --help' tells more.\n"
    }
}

/// Names, operands and flags.
enum ImageCommands {
    private static let json = CommandSyntax.Flag("json", .none, "", "print JSON for scripts")
    private static let registryFlags: [CommandSyntax.Flag] = [
        .init("creds", .one, "USER:PASSWORD", "who to be to the registry"),
        .init("authfile", .one, "FILE", "credentials in place of ~/.docker/config.json and its kin"),
        .init("insecure", .none, "", "accept any certificate, and plain HTTP"),
        .init("ca-file", .one, "FILE", "trust the authorities in FILE as well"),
        .init("quiet", .none, "", "print only the digest"),
    ]

    static let pull = CommandSyntax(
        "image pull", operands: "REFERENCE...", fewest: 1, most: 100, "Pull images from registries.",
        flags: [.init("platform", .one, "OS/ARCH", "another machine's image, such as linux/arm64")] + registryFlags)
    static let push = CommandSyntax(
        "image push", operands: "REFERENCE [TARGET]", fewest: 1, most: 2,
        "Push an image to a registry, under its own name or as TARGET.", flags: registryFlags)
    static let load = CommandSyntax(
        "image load", operands: "ARCHIVE...", fewest: 1, most: 1_000,
        "Load OCI or docker archives, or directories with an OCI layout.")
    static let save = CommandSyntax(
        "image save", operands: "REFERENCE...", fewest: 1, most: 1_000, "Write images to an archive.",
        flags: [
            .init("output", short: "o", .one, "FILE", "where to write"),
            .init("format", .one, "FORMAT", "oci (default), oci-dir for a directory, or docker"),
        ])
    static let list = CommandSyntax(
        "image list", "List the images.", flags: [json, .init("digests", .none, "", "show digests as well")])
    static let inspect = CommandSyntax(
        "image inspect", operands: "REFERENCE...", fewest: 1, most: 100, "Print all about images as JSON.")
    static let history = CommandSyntax(
        "image history", operands: "REFERENCE", fewest: 1, most: 1, "Show how an image was made.", flags: [json])
    static let tag = CommandSyntax(
        "image tag", operands: "REFERENCE NAME", fewest: 2, most: 2, "Give an image another name.")
    static let remove = CommandSyntax(
        "image remove", operands: "REFERENCE...", fewest: 1, most: 1_000,
        "Remove names, and with an image's last name the image.")
    static let prune = CommandSyntax(
        "image prune", "Remove images without a name that no pod uses.",
        flags: [
            .init("all", .none, "", "those with a name as well, but for lab's own"),
            .init("older-than", .one, "DUR", "only those unused for so long, such as 24h"),
        ])
    static let make = CommandSyntax(
        "image make", operands: "FILE...", fewest: 1, most: 100,
        "Assemble images of directories, files and Debian packages, as FILE describes them.",
        flags: [
            .init("tag", .one, "NAME", "the name in place of the file's"),
            .init("cache", .one, "DIR", "where downloaded packages are kept"),
        ])

    static let all = [pull, push, make, load, save, list, inspect, history, tag, remove, prune]

    static let implementations: [String: CommandBody] = [
        pull.name: runPull, push.name: runPush, make.name: runMake, load.name: runLoad, save.name: runSave,
        list.name: runList, inspect.name: runInspect, history.name: runHistory, tag.name: runTag,
        remove.name: runRemove, prune.name: runPrune,
    ]
}
