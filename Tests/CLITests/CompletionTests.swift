import Cluster
import Linux
import Testing

@testable import CLI

/// What is generated from the table of commands.
@Suite struct CompletionTests {
    /// Completes a line in a real bash; `lab` is a function that answers as the binary would.
    private func complete(_ words: String...) -> [String] {
        let line = (["lab"] + words).map { "'\($0)'" }.joined(separator: " ")
        let script = """
            lab() { case "$*" in
                'get clusters') echo blue; echo green ;;
                'get nodes green') echo green-worker ;;
                'get snapshots') echo blue before ;;
            esac; }
            \(Completion.script("bash") ?? "")
            COMP_WORDS=(\(line)); COMP_CWORD=\(words.count)
            _lab; printf '%s\\n' "${COMPREPLY[@]}"
            """
        let ran = Command.run(["bash", "-c", script])
        #expect(ran.code == 0 && ran.err.isEmpty, "\(ran)")
        return ran.out.split(separator: "\n").map(String.init).sorted()
    }

    @Test func bashCompletesCommandsFlagsAndNames() {
        #expect(complete("cre") == ["create"])
        #expect(complete("node", "") == ["add", "remove", "start", "stop"])
        #expect(complete("stop", "") == ["blue", "green"])
        #expect(complete("stop", "g") == ["green"])
        #expect(complete("create", "--wo") == ["--workers"])
        #expect(complete("node", "add", "--cluster", "b") == ["blue"])
        #expect(complete("node", "stop", "--cluster", "green", "") == ["green-worker"])
        #expect(complete("restore", "blue", "") == ["before"])
        #expect(complete("create", "--leader-elect", "") == ["false", "true"])
        #expect(complete("completion", "z") == ["zsh"])
        #expect(complete("kubeconfig", "e") == ["export"])
        #expect(complete("nonsense", "") == [])
    }

    @Test(arguments: Completion.shells)
    func everyCommandAndFlagIsInEveryScript(shell: String) throws {
        let script = try #require(Completion.script(shell))
        for command in Commands.all {
            for word in command.name.split(separator: " ") { #expect(script.contains(word), "\(shell): \(word)") }
            for flag in command.flags { #expect(script.contains(flag.name), "\(shell): \(flag.name)") }
        }
        let has = Command.run(["sh", "-c", "command -v \(shell)"]).code == 0
        if has {
            let ran = Command.run([shell, "-n", "-c", script])
            #expect(ran.code == 0, "\(ran)")
        }
        #expect(Completion.script("csh") == nil)
    }

    @Test func theManualPageNamesEveryCommandAndFlag() {
        let page = ManualPage.text
        for command in Commands.all {
            #expect(page.contains(".B lab \(command.name.replacing("-", with: "\\-"))"))
            for flag in command.flags { #expect(page.contains(".B \\-\\-\(flag.name.replacing("-", with: "\\-"))")) }
        }
        #expect(!page.split(separator: "\n").contains { $0.hasPrefix("'") })
    }

    @Test func everyCommandHasItsImplementationAndPlaceInTheOverview() {
        // These two are answered before there is an event loop.
        for command in Commands.all where !["version", "runtime"].contains(command.name) {
            #expect(Commands.implementations[command.name] != nil, "\(command.name)")
        }
        for command in Commands.all { #expect(Commands.overview.contains("  \(command.name) ")) }
        #expect(Set(Commands.all.map(\.name)).count == Commands.all.count)
    }
}

@Suite struct ToolArgumentsTests {
    @Test(arguments: [
        (["node", "add", "--count", "2"], "node add", ["--count", "2"]),
        (["create", "node"], "create", ["node"]),
        (["create", "cluster", "--name", "x"], "create", ["--name", "x"]),
        (["delete", "clusters", "--all"], "delete", ["--all"]),
        (["load", "docker-image", "app"], "load docker-image", ["app"]),
        (["snapshot", "node", "add"], "snapshot", ["node", "add"]),
    ])
    func theLongerCommandWins(words: [String], name: String, rest: [String]) {
        let found = Commands.find(words)
        #expect(found?.syntax.name == name)
        #expect(found?.rest == rest)
    }

    @Test(arguments: [
        (["node"], "'lab node' is not a whole command", "node add, node remove"),
        (["node", "frob"], "unknown command 'node frob'", "node add"),
        (["craete"], "unknown command 'craete'", "did you mean 'create'"),
        (["xyzzy"], "unknown command 'xyzzy'", "'lab help' lists"),
    ])
    func otherCommandsAreRefused(words: [String], message: String, remedy: String) {
        #expect(Commands.find(words) == nil)
        let error = Commands.unknown(words)
        #expect(error.message == message)
        #expect(error.remedy.contains(remedy), "\(error.remedy)")
    }

    @Test func aClusterIsNamedOnce() throws {
        let both = try Arguments(["blue", "--name", "green"], for: Commands.create)
        #expect(throws: UsageError.self) { try both.clusterName() }
        #expect(try Arguments(["--name", "green"], for: Commands.create).clusterName() == "green")
        #expect(try Arguments([], for: Commands.create).clusterName() == nil)
    }

    @Test func nodesAreDescribedByFlags() throws {
        let words = [
            "--count=2", "--labels", "a=1,b", "--taints", "k=v:NoSchedule,t:NoExecute", "--cpus", "1.5", "--memory",
            "1Gi",
        ]
        let (count, node) = try NodeOptions.parse(try Arguments(words, for: Commands.nodeAdd))
        #expect(count == 2)
        #expect(node.labels == ["a": "1", "b": ""])
        #expect(
            node.taints == [.init(key: "k", value: "v", effect: "NoSchedule"), .init(key: "t", effect: "NoExecute")])
        #expect(node.cpuMillis == 1_500 && node.memoryBytes == 1 << 30)
    }

    @Test(arguments: [
        ["--count", "0"], ["--count", "x"], ["--labels", "a b=c"], ["--taints", "k=v"], ["--taints", "k:Never"],
        ["--cpus", "lots"], ["--cpus", "1m"], ["--memory", "1Ki"],
    ])
    func otherNodesAreRefused(words: [String]) throws {
        let arguments = try Arguments(words, for: Commands.nodeAdd)
        let error = #expect(throws: UsageError.self) { try NodeOptions.parse(arguments) }
        #expect(error?.remedy.isEmpty == false)
    }
}
