import Glibc
import Testing

/// What bad input gets: a clear error with a remedy, the right exit code, and nothing half-made.
@Suite(.serialized, .enabled(if: Machine.binary != nil, "needs the release binary in LAB_BINARY"))
struct MisuseTests {
    static let cases: [(words: [String], code: Int32, says: String)] = [
        (["create", "--wrokers", "3"], 2, "unknown flag '--wrokers'"),
        (["create", "Not_A_Name"], 2, "'Not_A_Name' is not a cluster name"),
        (["create", "--workers", "many"], 2, "--workers 'many' is no number"),
        (["create", "--workers", "101"], 2, "101 workers are out of range"),
        (["create", "--wait", "soon"], 2, "'soon' is not a duration"),
        (["create", "--api-port", "0"], 2, "--api-port '0' is no port"),
        (["create", "--config", "/nonexistent/lab.yaml"], 1, "cannot read the configuration"),
        (["create", "a", "b"], 2, "unexpected argument 'b'"),
        (["load"], 2, "'lab load' needs ARCHIVE..."),
        (["destroy"], 2, "unknown command 'destroy'"),
        (["conformance", "--parallel", "0"], 2, "--parallel '0' is no number that fits"),
    ]

    @Test(arguments: cases)
    func misuse(words: [String], code: Int32, says: String) {
        let lab = Lab("misuse")
        defer { lab.tearDown() }
        let ran = Shell.run([Machine.binary ?? "lab"] + words, extra: lab.environment)
        #expect(ran.code == code, "\(ran)")
        #expect(ran.err.contains(says), "\(ran)")
        #expect(access("\(lab.home)/clusters", F_OK) != 0, "nothing may be made")
    }

    @Test func unknownFieldsOfAConfigurationAreNamedWithLineAndColumn() {
        let lab = Lab("config")
        defer { lab.tearDown() }
        let path = "\(lab.home)/lab.yaml"
        _ = Shell.run(["sh", "-c", "printf 'apiVersion: lab.dev/v1\\nkind: Cluster\\nwrokers: 3\\n' > \(path)"])
        let ran = lab.lab("create", "--config", path)
        #expect(ran.code == 2, "\(ran)")
        #expect(ran.err.contains("line 3, column 1: unknown field 'wrokers'"), "\(ran)")
    }

    @Test(.enabled(if: Machine.canCreate, "\(Machine.why)"))
    func archivesThatAreMissingOrBrokenAreNamed() {
        let lab = Lab("archive")
        defer { lab.tearDown() }
        let missing = lab.lab("create", lab.name, "--image-archive", "/nonexistent.tar")
        #expect(missing.code == 1, "\(missing)")
        #expect(missing.err.contains("/nonexistent.tar"), "\(missing)")

        let broken = "\(lab.home)/broken.tar"
        _ = Shell.run(["sh", "-c", "head -c 100000 /dev/urandom > \(broken)"])
        let ran = lab.lab("create", lab.name, "--image-archive", broken)
        #expect(ran.code == 1, "\(ran)")
        #expect(ran.err.contains(broken), "\(ran)")
        #expect(lab.lab("list", "--json").out == "[]\n")
    }

    @Test(.enabled(if: Machine.canCreate, "\(Machine.why)"))
    func aPortInUseIsNamed() {
        let lab = Lab("port")
        defer { lab.tearDown() }
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 1) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        #expect(bound)
        let port = UInt16(bigEndian: address.sin_port)
        let ran = lab.lab("create", lab.name, "--api-port", "\(port)")
        #expect(ran.code == 1, "\(ran)")
        #expect(ran.err.contains("port \(port) on 127.0.0.1 is in use"), "\(ran)")
        #expect(lab.lab("list", "--json").out == "[]\n")
    }

    @Test(.enabled(if: Machine.canCreate, "\(Machine.why)"))
    func aFullDiskIsNamed() {
        let lab = Lab("full")
        defer { lab.tearDown() }
        let binary = Machine.binary ?? "lab"
        let script = "mount -t tmpfs -o size=40m tmpfs \(lab.home) && exec \(binary) create \(lab.name)"
        // The small file system is in a mount namespace of its own, which goes with the command.
        let ran = Shell.run(["unshare", "-m", "sh", "-c", script], extra: lab.environment)
        #expect(ran.code == 1, "\(ran)")
        #expect(ran.err.contains("No space left on device"), "\(ran)")
        #expect(ran.err.contains("make room"), "\(ran)")
    }

    @Test(.enabled(if: Machine.canCreate, "\(Machine.why)"))
    func withoutRootItSaysSo() {
        let lab = Lab("nobody")
        defer { lab.tearDown() }
        let copy = "\(lab.home)/lab"
        #expect(Shell.run(["cp", Machine.binary ?? "lab", copy]).code == 0)
        let words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", copy, "create", lab.name]
        let ran = Shell.run(words, extra: lab.environment)
        #expect(ran.code == 1, "\(ran)")
        #expect(ran.err.contains("needs root") && ran.err.contains("sudo"), "\(ran)")
    }
}
