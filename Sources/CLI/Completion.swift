/// Shells' completion scripts, made from the one table of commands. What they complete beside flags:
/// names of clusters, nodes and snapshots, for which they ask `lab get`, and files.
enum Completion {
    static let shells = ["bash", "zsh", "fish"]

    static func script(_ shell: String) -> String? {
        switch shell {
        case "bash": bash()
        case "zsh": zsh()
        case "fish": fish()
        default: nil
        }
    }

    /// What a value or an operand may be.
    enum Candidates: Equatable {
        case words([String])
        case clusters, nodes, snapshots, files, nothing
    }

    static func candidates(_ placeholder: String) -> Candidates {
        let text = placeholder.filter { !"[].".contains($0) }
        switch text {
        case "NAME": return .clusters
        case "NODE": return .nodes
        case "SNAPSHOT": return .snapshots
        case "FILE", "DIR", "PATH", "ARCHIVE": return .files
        case "BOOL": return .words(["true", "false"])
        default: return text.contains("|") ? .words(text.split(separator: "|").map(String.init)) : .nothing
        }
    }

    /// The candidates of a command's operands, in order; the last counts for all that follow.
    static func operands(_ command: CommandSyntax) -> [Candidates] {
        command.operands.split(separator: " ").map { candidates(String($0)) }
    }

    private static let commands = Commands.all
    private static var firstWords: [String] {
        var words: [String] = []
        for command in commands {
            let word = String(command.name.split(separator: " ")[0])
            if !words.contains(word) { words.append(word) }
        }
        return words
    }

    private static func secondWords(_ first: String) -> [String] {
        commands.compactMap { command in
            let words = command.name.split(separator: " ")
            return words.count == 2 && words[0] == first ? String(words[1]) : nil
        }
    }

    private static var pairs: [String] { firstWords.filter { !secondWords($0).isEmpty } }

    /// The shell words that print candidates, one a line.
    private static func generator(_ candidates: Candidates) -> String? {
        switch candidates {
        case .words(let words): "printf '%s\\n' \(words.joined(separator: " "))"
        case .clusters: "lab get clusters 2>/dev/null"
        case .nodes: "lab get nodes ${cluster:-lab} 2>/dev/null"
        case .snapshots: "lab get snapshots 2>/dev/null | cut -d' ' -f2"
        case .files, .nothing: nil
        }
    }

    // MARK: bash

    private static func bash() -> String {
        var text = """
            # bash completion for lab: source <(lab completion bash)
            _lab() {
                local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
                local begin=2 operand=0 flags='' i cluster=''
                if [ "$COMP_CWORD" -eq 1 ]; then
                    COMPREPLY=($(compgen -W '\((firstWords + ["help"]).joined(separator: " "))' -- "$cur"))
                    return
                fi
                case $command in

            """
        for first in pairs {
            let words = secondWords(first).joined(separator: " ")
            text += """
                        \(first))
                            if [ "$COMP_CWORD" -eq 2 ]; then
                                COMPREPLY=($(compgen -W '\(words)' -- "$cur")); return
                            fi
                            command="$command ${COMP_WORDS[2]}" begin=3 ;;

                """
        }
        text += """
                esac
                for ((i = begin; i < COMP_CWORD; i++)); do
                    case ${COMP_WORDS[i]} in
                        --cluster|--name) cluster=${COMP_WORDS[i+1]} ;;
                        -*) ;;
                        *) operand=$((operand + 1)) ;;
                    esac
                done
                case "$command $prev" in

            """
        for command in commands {
            for flag in command.flags where flag.value != .none {
                text +=
                    "        '\(command.name) --\(flag.name)') \(bashReply(candidates(flag.placeholder))); return ;;\n"
            }
        }
        text += "    esac\n    case $command in\n"
        for command in commands {
            let flags = (command.flags.map { "--\($0.name)" } + ["--help"]).joined(separator: " ")
            text += "        '\(command.name)')\n            flags='\(flags)'\n"
            text +=
                "            if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\")); return; fi\n"
            let operands = operands(command)
            if !operands.isEmpty {
                text += "            case $operand in\n"
                for (index, candidates) in operands.enumerated() {
                    let pattern =
                        index == operands.count - 1 && command.mostOperands > operands.count ? "*" : "\(index)"
                    text += "                \(pattern)) \(bashReply(candidates)) ;;\n"
                }
                text += "            esac\n"
            }
            text += "            ;;\n"
        }
        return text + "    esac\n}\ncomplete -F _lab lab\n"
    }

    private static func bashReply(_ candidates: Candidates) -> String {
        if candidates == .files { return "COMPREPLY=($(compgen -f -- \"$cur\"))" }
        guard let generator = generator(candidates) else { return "COMPREPLY=()" }
        return "COMPREPLY=($(compgen -W \"$(\(generator))\" -- \"$cur\"))"
    }

    // MARK: zsh

    private static func zsh() -> String {
        var text = """
            #compdef lab
            # zsh completion for lab: source <(lab completion zsh)
            _lab() {
                local command=$words[2] cluster=''
                integer begin=2
                if (( CURRENT == 2 )); then
                    local -a commands=(

            """
        for first in firstWords {
            let command = commands.first { $0.name == first }
            let summary = command?.summary ?? secondWords(first).joined(separator: ", ")
            text += "            '\(first):\(quoted(summary))'\n"
        }
        text += "        )\n        _describe command commands; return\n    fi\n    case $command in\n"
        for first in pairs {
            text +=
                "        \(first))\n            if (( CURRENT == 3 )); then compadd \(secondWords(first).joined(separator: " ")); return; fi\n"
            text += "            command=\"$command $words[3]\"; begin=3 ;;\n"
        }
        text += """
                esac
                # _arguments counts from the command's own name on.
                words=("$command" "${(@)words[begin+1,-1]}")
                (( CURRENT -= begin - 1 ))
                case $command in

            """
        for command in commands {
            text += "        '\(command.name)')\n            _arguments -s '--help[show help]'"
            for flag in command.flags {
                let many = flag.value == .many ? "*" : ""
                text += " \\\n                '\(many)--\(flag.name)[\(quoted(flag.help))]"
                text += flag.value == .none ? "'" : ":\(flag.placeholder):\(zshAction(candidates(flag.placeholder)))'"
            }
            let operands = operands(command)
            for (index, candidates) in operands.enumerated() {
                let isLast = index == operands.count - 1 && command.mostOperands > operands.count
                text += " \\\n                '\(isLast ? "*" : "\(index + 1)"):operand:\(zshAction(candidates))'"
            }
            text += " ;;\n"
        }
        return text + "    esac\n}\nif [ \"$funcstack[1]\" = _lab ]; then _lab; else compdef _lab lab; fi\n"
    }

    private static func zshAction(_ candidates: Candidates) -> String {
        switch candidates {
        case .files: "_files"
        case .nothing: ""
        case .words(let words): "(\(words.joined(separator: " ")))"
        default: "{compadd -- ${(f)\"$(\((generator(candidates) ?? "").replacing("'", with: "'\\''")))\"}}"
        }
    }

    private static func quoted(_ text: String) -> String {
        text.replacing("'", with: "'\\''").replacing("[", with: "\\[").replacing("]", with: "\\]")
            .replacing(":", with: "\\:")
    }

    // MARK: fish

    private static func fish() -> String {
        var text = "# fish completion for lab: lab completion fish | source\ncomplete -c lab -f\n"
        for first in firstWords {
            let summary = commands.first { $0.name == first }?.summary ?? secondWords(first).joined(separator: ", ")
            text += "complete -c lab -n __fish_use_subcommand -a \(first) -d \(fishQuoted(summary))\n"
        }
        for command in commands {
            let words = command.name.split(separator: " ")
            var condition = "__fish_seen_subcommand_from \(words[0])"
            if words.count == 2 {
                let others = secondWords(String(words[0])).joined(separator: " ")
                text += "complete -c lab -n '\(condition); and not __fish_seen_subcommand_from \(others)' "
                text += "-a \(words[1]) -d \(fishQuoted(command.summary))\n"
                condition += "; and __fish_seen_subcommand_from \(words[1])"
            }
            for flag in command.flags {
                text += "complete -c lab -n '\(condition)' -l \(flag.name)"
                text += "\(flag.short.map { " -s \($0)" } ?? "") -d \(fishQuoted(flag.help))"
                if flag.value != .none { text += " -r\(fishCandidates(candidates(flag.placeholder)))" }
                text += "\n"
            }
            for candidates in operands(command) {
                let values = fishCandidates(candidates)
                if !values.isEmpty { text += "complete -c lab -n '\(condition)'\(values)\n" }
            }
        }
        return text
    }

    private static func fishCandidates(_ candidates: Candidates) -> String {
        switch candidates {
        case .nothing: ""
        case .files: " -F"
        case .words(let words): " -a \(fishQuoted(words.joined(separator: " ")))"
        case .nodes: " -a '(lab get nodes 2>/dev/null)'"
        default: " -a \(fishQuoted("(\(generator(candidates) ?? ""))"))"
        }
    }

    private static func fishQuoted(_ text: String) -> String {
        "'\(text.replacing("\\", with: "\\\\").replacing("'", with: "\\'"))'"
    }
}
