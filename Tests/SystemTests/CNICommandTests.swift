import Document
import Glibc
import Linux
import Testing

/// The binary called by a link named `lab-cni`, as a container runtime calls a plugin.
@Suite(.serialized, .enabled(if: Machine.canCreate && Shell.has("ip"), "\(Machine.why), and ip"))
struct CNICommandTests {
    private static let configuration = """
        {"cniVersion":"1.1.0","name":"pods","type":"lab-cni","subnet":"10.244.9.0/24","stateDirectory":"DIR/state"}
        """

    private func script(_ text: String, _ directory: String) -> Ran {
        let call = """
            set -u; cd \(directory)
            call() { env CNI_COMMAND=$1 CNI_CONTAINERID=c1 CNI_NETNS=${2:-} CNI_IFNAME=eth0 CNI_PATH=/ ./lab-cni; }
            """
        return Shell.run(["unshare", "-n", "sh", "-c", call + "\n" + text])
    }

    private func place() throws -> String {
        let directory = "/tmp/lab-cni-\(getpid())-\(Int.random(in: 0..<1_000_000))"
        try Files.makeDirectories(directory)
        try #require(symlink(Machine.binary ?? "", "\(directory)/lab-cni") == 0)
        let text = Self.configuration.replacing("DIR", with: directory)
        try Files.write(Array(text.utf8), to: "\(directory)/conf")
        return directory
    }

    @Test func aRuntimeAddsAndDeletes() throws {
        let directory = try place()
        defer { try? Files.removeTree(directory) }
        let ran = script(
            """
            unshare -n sleep 60 & pid=$!
            trap "kill $pid" EXIT
            while [ "$(readlink /proc/$pid/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
            call VERSION < conf > version || echo failed
            call ADD /proc/$pid/ns/net < conf > added || echo failed
            nsenter -t $pid -n ip -4 -o addr show eth0
            ip -4 route
            call DEL /proc/$pid/ns/net < conf && call DEL < conf || echo failed
            nsenter -t $pid -n ip link show eth0 2>&1 | grep -c 'does not exist'
            ls state/addresses | wc -l
            """, directory)
        #expect(ran.code == 0 && !ran.out.contains("failed"), "\(ran)")
        let added = try Document(json: try Files.read("\(directory)/added"))
        let address = try #require(added.list("ips").first?.text("address"))
        #expect(ran.out.contains("inet \(address) ") || ran.out.contains("inet \(address.dropLast(3))"), "\(ran)")
        #expect(ran.out.contains("\(address.dropLast(3)) dev lab0af409"), "\(ran)")
        #expect(ran.out.hasSuffix("1\n0\n"), "the link and the address are gone: \(ran)")
        let version = try Document(json: try Files.read("\(directory)/version"))
        #expect(version.list("supportedVersions").contains("1.1.0"))
    }

    @Test func hostileInputGetsAnAnswerAndAnExitCode() throws {
        let directory = try place()
        defer { try? Files.removeTree(directory) }
        for (feed, code) in [
            ("< /dev/null", 6), ("< /bin/sh", 6), ("< lab-cni", 6), ("<<< x", 6), ("< conf", 4),
        ] {
            let text =
                feed == "<<< x"
                ? "echo x | call ADD /proc/self/ns/net" : "call ADD \(code == 4 ? "relative" : "/x") \(feed)"
            let ran = script(text, directory)
            #expect(ran.code == 1, "\(feed): \(ran)")
            let answer = try? Document(json: ran.out)
            #expect(answer?.number("code") == code && answer?.text("msg")?.isEmpty == false, "\(feed): \(ran)")
        }
        // Whoever feeds without end is not read without end.
        let endless = script("yes | head -c 50000000 | call ADD /proc/self/ns/net", directory)
        #expect(endless.code == 1 && (try? Document(json: endless.out))?.number("code") == 6, "\(endless)")
    }
}
