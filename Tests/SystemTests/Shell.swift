import Document
import Glibc
import Linux

typealias Ran = Command.Outcome

enum Shell {
    static func run(_ words: [String], extra: [String: String] = [:]) -> Ran { Command.run(words, extra: extra) }
    /// A script that is found in the PATH where `directory` is in it.
    static func place(_ name: String, in directory: String, _ text: String) throws {
        try Files.write(Array(text.utf8), to: "\(directory)/\(name)", mode: 0o755)
    }
    static func has(_ program: String) -> Bool { run(["sh", "-c", "command -v \(program)"]).code == 0 }
}

/// Where the tests run, and what they can do there.
enum Machine {
    static let binary: String? = getenv("LAB_BINARY").map { String(cString: $0) }
    static let isRoot = geteuid() == 0
    static let hasKubectl = Shell.has("kubectl")
    /// Whether apt knows where Debian's packages come from.
    static let hasPackages = Shell.run(["apt-get", "download", "--print-uris", "busybox-static"]).out.contains("http")
    static var canCreate: Bool { isRoot && binary != nil }
    static let why = "needs root and the release binary in LAB_BINARY ('make test' sets it)"
}

/// A home of its own for each suite, so that tests never meet the user's clusters.
struct Lab {
    let home: String
    let kubeconfig: String
    let name: String

    init(_ purpose: String) {
        name = "t\(getpid() % 100_000)-\(purpose)"
        home = "/var/tmp/lab-test-\(name)"
        kubeconfig = "\(home)/kubeconfig"
        mkdir(home, 0o755)
    }

    var environment: [String: String] { ["LAB_HOME": home, "KUBECONFIG": kubeconfig] }

    @discardableResult
    func lab(_ words: String...) -> Ran { Shell.run([Machine.binary ?? "lab"] + words, extra: environment) }

    func start(_ words: String...) -> Command {
        Command([Machine.binary ?? "lab"] + words, extra: environment)
    }

    @discardableResult
    func kubectl(_ words: String...) -> Ran { Shell.run(["kubectl"] + words, extra: environment) }

    /// Repeats until `condition` holds; gives up after `seconds`.
    func eventually(within seconds: Int = 60, _ condition: () -> Bool) -> Bool {
        let start = time(nil)
        while time(nil) - start <= seconds {
            if condition() { return true }
            usleep(50_000)
        }
        return false
    }

    /// Deletes every cluster of this home and the home itself, whatever the test did.
    func tearDown() {
        lab("delete", "--all")
        _ = Shell.run(["rm", "-rf", home])
    }
}

/// Links and tables of the host that belong to clusters. Each is told from a later one of the same name by the number
/// that the kernel gave it, since other tests make and delete clusters at the same time.
enum HostObjects {
    /// Those of every cluster there is, as `NAME NUMBER`.
    static var all: Set<String> {
        let links = Shell.run([
            "sh", "-c", "cd /sys/class/net; for l in lab-host*; do [ -e $l ] && echo $l $(cat $l/ifindex); done",
        ])
        let tables = Shell.run([
            "sh", "-c",
            "nft -a -t list ruleset | sed -n 's/^table ip \\(lab-host-[0-9]*\\).* handle \\([0-9]*\\)/\\1 \\2/p'",
        ])
        return Set((links.out + tables.out).split(separator: "\n").map(String.init))
    }

    /// Those of one cluster, by the number in its record.
    static func of(_ cluster: String, home: String) -> Set<String> {
        guard let record = try? Document(json: Files.read("\(home)/clusters/\(cluster)/host-link.json")),
            let number = record.number("number")
        else { return [] }
        return all.filter { $0.hasPrefix("lab-host\(number) ") || $0.hasPrefix("lab-host-\(number) ") }
    }
}
