import Glibc
import Linux
import Overlay

/// The pod network as a CNI plugin: the same binary, called by a link named `lab-cni`.
enum CNIProgram {
    /// One byte more than the plugin takes, so that it sees that it was too much.
    private static let mostInput = (1 << 20) + 1
    private static let names = [
        "CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH",
    ]

    static func run() -> Int32 {
        var environment: [String: String] = [:]
        for name in names { if let value = getenv(name) { environment[name] = String(cString: value) } }
        let outcome = CNIPlugin().run(environment: environment, input: standardInput())
        do { try Files.writeAll(outcome.output, to: 1, name: "standard output") } catch { return 1 }
        return outcome.exitCode
    }

    private static func standardInput() -> [UInt8] {
        var input: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while input.count < mostInput {
            let count = read(0, &buffer, min(buffer.count, mostInput - input.count))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            input += buffer.prefix(count)
        }
        return input
    }
}
