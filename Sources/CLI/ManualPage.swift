import Cluster

/// `lab(1)` in the man macros, made from the one table of commands.
enum ManualPage {
    static var text: String {
        var page = """
            .TH LAB 1 "" "lab \(LabVersion.current)" "User Commands"
            .SH NAME
            lab \\- a real, Kubernetes\\-compatible cluster in about a second
            .SH SYNOPSIS
            .B lab
            .I COMMAND
            .RI [ flags ]
            .SH DESCRIPTION
            One binary makes clusters of nested containers on this machine, and is all that runs in them.
            Results go to standard output, progress and errors to standard error.
            With \\fB\\-\\-json\\fR a command prints one JSON document, also about its failure.
            .SH COMMANDS

            """
        for command in Commands.all {
            page += ".TP\n.B lab \(escaped(command.name))"
            if !command.flags.isEmpty { page += " \\fR[flags]" }
            if !command.operands.isEmpty { page += " \\fI\(escaped(command.operands))\\fR" }
            page += "\n\(escaped(command.summary))\n"
            if !command.details.isEmpty { page += ".RS\n.nf\n\(escaped(command.details))\n.fi\n.RE\n" }
            guard !command.flags.isEmpty else { continue }
            page += ".RS\n"
            for flag in command.flags {
                page += ".TP\n.B \\-\\-\(escaped(flag.name))"
                if let short = flag.short { page += ", \\-\(short)" }
                if !flag.placeholder.isEmpty { page += " \\fI\(escaped(flag.placeholder))\\fR" }
                page += "\n\(escaped(flag.help))\n"
            }
            page += ".RE\n"
        }
        return page + """
            .SH EXIT STATUS
            0 success, 1 failure, 2 misuse.
            .SH ENVIRONMENT
            .TP
            .B LAB_HOME
            where clusters, images and snapshots lie (default /var/lib/lab)
            .TP
            .B KUBECONFIG
            your kubeconfig; its first file gets the contexts of clusters
            .TP
            .B NO_COLOR
            no colours; there are none where standard error is no terminal, either
            .SH SEE ALSO
            .BR kubectl (1)

            """
    }

    /// A hyphen would be typeset, a leading dot or quote would be a request.
    private static func escaped(_ text: String) -> String {
        let plain = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
        return plain.hasPrefix(".") || plain.hasPrefix("'") ? "\\&\(plain)" : plain
    }
}

extension Commands {
    static let runMan: CommandBody = { _, environment in
        environment.console.out(String(ManualPage.text.dropLast()))
    }

    static let runCompletion: CommandBody = { arguments, environment in
        guard let script = Completion.script(arguments.operands[0]) else {
            throw UsageError(
                "no completion for the shell '\(arguments.operands[0])'", remedy: "use bash, zsh or fish")
        }
        environment.console.out(String(script.dropLast()))
    }
}
