import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Overlay

private let configuration: Document = [
    "cniVersion": "1.1.0", "name": "pods", "type": "lab-cni", "subnet": "10.244.0.0/24", "stateDirectory": "/nowhere",
]

private func environment(_ command: String, _ more: [String: String] = [:]) -> [String: String] {
    [
        "CNI_COMMAND": command, "CNI_CONTAINERID": "c1", "CNI_NETNS": "/proc/self/ns/net", "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin",
    ].merging(more) { $1 }
}

@Suite struct CNIRequestTests {
    private func code(_ environment: [String: String], _ input: String) -> Int? {
        let outcome = CNIPlugin().run(environment: environment, input: Array(input.utf8))
        guard outcome.exitCode == 1, let answer = try? Document(json: outcome.output) else { return nil }
        // Every refusal says which version it speaks, and why.
        guard answer.text("cniVersion") != nil, answer.text("msg")?.isEmpty == false else { return -1 }
        return answer.number("code")
    }

    private func with(_ key: String, _ value: Document?) -> String {
        var document = configuration
        document[key] = value
        return document.jsonText
    }

    @Test func hostileInputIsRefusedWithItsReason() {
        let good = configuration.jsonText
        let cases: [(Int, [String: String], String)] = [
            (4, [:], good), (4, environment("add"), good), (4, environment("EXPLODE"), good),
            (6, environment("ADD"), ""), (6, environment("ADD"), "{"), (6, environment("ADD"), "[]"),
            (6, environment("ADD"), "null"), (6, environment("ADD"), "\u{0}\u{1}\u{2}"),
            (6, environment("ADD"), String(repeating: "[", count: 100_000)),
            (6, environment("ADD"), String(repeating: " ", count: (1 << 20) + 1)),
            (1, environment("ADD"), with("cniVersion", "9.9.9")), (1, environment("ADD"), with("cniVersion", nil)),
            (1, environment("CHECK"), with("cniVersion", "0.3.1")), (1, environment("GC"), with("cniVersion", "1.0.0")),
            (1, environment("STATUS"), with("cniVersion", "1.0.0")),
            (7, environment("ADD"), with("name", nil)), (7, environment("ADD"), with("name", "../x")),
            (7, environment("ADD"), with("subnet", nil)), (7, environment("ADD"), with("subnet", "10.0.0.0/33")),
            (7, environment("ADD"), with("subnet", "fd00::/64")),
            (7, environment("ADD"), with("subnet", "10.0.0.0/31")),
            (7, environment("ADD"), with("mtu", 12)), (7, environment("ADD"), with("mtu", "large")),
            (7, environment("ADD"), with("stateDirectory", "relative")),
            (6, environment("ADD"), with("prevResult", "x")),
            (4, environment("ADD", ["CNI_CONTAINERID": ""]), good),
            (4, environment("ADD", ["CNI_CONTAINERID": "../../etc"]), good),
            (4, environment("ADD", ["CNI_CONTAINERID": String(repeating: "a", count: 300)]), good),
            (4, environment("ADD", ["CNI_IFNAME": "a/b"]), good), (4, environment("ADD", ["CNI_IFNAME": ".."]), good),
            (4, environment("ADD", ["CNI_IFNAME": "longer-than-fifteen"]), good),
            (4, environment("ADD", ["CNI_NETNS": ""]), good), (4, environment("ADD", ["CNI_NETNS": "ns"]), good),
            (3, environment("ADD", ["CNI_NETNS": "/no/such/namespace"]), good),
            (7, environment("GC"), good), (7, environment("GC"), with("cni.dev/valid-attachments", "all")),
            (6, environment("GC"), with("cni.dev/valid-attachments", [["containerID": "c1"]])),
        ]
        for (number, environment, input) in cases {
            #expect(code(environment, input) == number, "\(environment["CNI_COMMAND"] ?? "-") \(input.prefix(120))")
        }
    }

    @Test func versionsAreTold() throws {
        let outcome = CNIPlugin().run(
            environment: ["CNI_COMMAND": "VERSION"], input: Array("{\"cniVersion\":\"1.0.0\"}".utf8))
        #expect(outcome.exitCode == 0)
        let answer = try Document(json: outcome.output)
        #expect(answer.list("supportedVersions").compactMap(\.string) == CNIRequest.versions)
    }
}

@Suite(.serialized, .enabled(if: Kernel.isOurs, "needs network namespaces, VXLAN and nftables"))
final class CNIPluginTests {
    private let scratch: Scratch
    private let fabric: Fabric
    private let container: NetworkNamespace
    private var node: NetworkNamespace { fabric.nodes[0].namespace }

    init() async throws {
        scratch = try Scratch()
        fabric = try await Fabric(stateDirectory: scratch.path)
        container = try NetworkNamespace.make()
    }

    private func call(
        _ command: String, _ id: String = "c1", version: String = "1.1.0", namespace: NetworkNamespace? = nil,
        _ change: (inout Document) -> Void = { _ in }
    ) throws -> (code: Int32, answer: Document) {
        var document = configuration
        document["cniVersion"] = Document(version)
        document["stateDirectory"] = Document("\(scratch.path)/0")
        change(&document)
        let path = "/proc/\(getpid())/fd/\((namespace ?? container).descriptor)"
        let outcome = CNIPlugin(node: node).run(
            environment: environment(command, ["CNI_CONTAINERID": id, "CNI_NETNS": path]), input: document.json)
        return (outcome.exitCode, outcome.output.isEmpty ? .null : try Document(json: outcome.output))
    }

    @Test func aContainerLivesAndGoes() async throws {
        #expect(try call("STATUS").code == 0)
        let added = try call("ADD")
        #expect(added.code == 0, "\(added.answer.jsonText)")
        let text = try #require(added.answer.list("ips").first?.text("address"))
        let address = try #require(CIDR(text)?.base)
        #expect(CIDR("10.244.0.0/24")?.contains(address) == true && text.hasSuffix("/32"))
        #expect(added.answer.list("interfaces").last?.text("name") == "eth0")
        // It is a pod like others: of this node and of the other one.
        let server = try TestSocket(container)
        try server.bind(port: 8080)
        let near = try await fabric.pod("ns/near", on: 0)
        let far = try await fabric.pod("ns/far", on: 1)
        #expect(near.address != address)
        #expect(try meet(near.namespace, address, 8080, server: server) == near.address)
        #expect(try meet(far.namespace, address, 8080, server: server) == far.address)
        #expect(try call("CHECK") { $0["prevResult"] = added.answer }.code == 0)
        // The kubelet's sweep of what it does not know leaves it alone.
        try await fabric.nodes[0].overlay.retain(only: ["ns/near"])
        #expect(try call("CHECK") { $0["prevResult"] = added.answer }.code == 0)
        #expect(try call("ADD").answer.list("ips") == added.answer.list("ips"), "the same again")
        for _ in 0..<2 { #expect(try call("DEL").code == 0) }
        #expect(try RouteSocket(in: node).link(named: PodLink.name(for: address)) == nil)
        #expect(try call("CHECK") { $0["prevResult"] = added.answer }.answer.number("code") == 3)
        #expect(try Files.list("\(scratch.path)/0/addresses") == ["\(near.address)"])
    }

    @Test func whatIsNotAsItWasMadeIsToldByCheck() throws {
        let added = try call("ADD").answer
        #expect(try call("CHECK").answer.number("code") == 7, "without prevResult")
        var other = added
        other.set([["address": "10.244.0.99/32"]], at: "ips")
        #expect(try call("CHECK") { $0["prevResult"] = other }.answer.number("code") == 100)
        let inside = try RouteSocket(in: container)
        let link = try #require(try inside.link(named: "eth0"))
        try inside.change(linkIndex: link.index, LinkChange(up: false))
        let down = try call("CHECK") { $0["prevResult"] = added }.answer
        #expect(down.number("code") == 100 && down.text("msg")?.contains("is down") == true)
        try inside.delete(linkIndex: link.index)
        #expect(try call("CHECK") { $0["prevResult"] = added }.answer.text("msg")?.contains("no link eth0") == true)
        #expect(try call("DEL").code == 0)
    }

    @Test func collectionTakesWhatIsNotListedAndOnlyThat() async throws {
        let second = try NetworkNamespace.make()
        #expect(try call("ADD", "c1").code == 0)
        #expect(try call("ADD", "c2", namespace: second).code == 0)
        let pod = try await fabric.pod("ns/pod", on: 0)
        let collected = try call("GC") {
            $0["cni.dev/valid-attachments"] = [["containerID": "c2", "ifname": "eth0"]]
        }
        #expect(collected.code == 0, "\(collected.answer.jsonText)")
        let keys = try AddressPool(
            directory: "\(scratch.path)/0/addresses", network: CIDR("10.244.0.0/24")!, ownsDirectory: false
        ).keys
        #expect(keys == ["cni/c2/eth0", "ns/pod"])
        #expect(try RouteSocket(in: node).link(named: PodLink.name(for: pod.address)) != nil)
        #expect(try RouteSocket(in: container).link(named: "eth0") == nil)
        #expect(try call("DEL", "c2", namespace: second).code == 0)
    }

    @Test func refusalsLeaveNothing() async throws {
        _ = try await fabric.pod("ns/pod", on: 0)
        // Another node's subnet would make a mess of the ledger.
        let foreign = try call("ADD") { $0["subnet"] = "10.250.0.0/24" }
        #expect(foreign.answer.number("code") == 7, "\(foreign.answer.jsonText)")
        // The container has such a link already.
        try RouteSocket(in: container).create(NewLink("eth0", .bridge))
        #expect(try call("ADD").answer.number("code") == 7)
        #expect(try Files.list("\(scratch.path)/0/addresses").count == 1)
        // A pool that is used up, and what STATUS says then.
        func small(_ document: inout Document) {
            document["subnet"] = "10.245.0.0/30"
            document["stateDirectory"] = Document("\(scratch.path)/small")
        }
        let one = try NetworkNamespace.make()
        #expect(try call("ADD", "a", namespace: one, small).code == 0)
        let full = try call("ADD", "b", namespace: try NetworkNamespace.make(), small).answer
        #expect(full.number("code") == 11 && full.text("msg")?.contains("10.245.0.0/30") == true)
        #expect(try call("STATUS", "b", small).answer.number("code") == 50)
        #expect(try call("DEL", "a", namespace: one, small).code == 0)
        // A node without its agent's link.
        let bare = CNIPlugin(node: try NetworkNamespace.make())
        var document = configuration
        document["stateDirectory"] = Document("\(scratch.path)/small")
        let answer = try Document(json: bare.run(environment: environment("STATUS"), input: document.json).output)
        #expect(answer.number("code") == 50)
    }

    @Test func olderVersionsGetTheirOwnForm() throws {
        let old = try call("ADD", version: "0.4.0").answer
        #expect(old.text("cniVersion") == "0.4.0" && old.list("ips").first?.text("version") == "4")
        #expect(old.list("interfaces").last?["mtu"] == nil)
        #expect(try call("DEL", version: "0.3.1").code == 0)
    }
}

@Suite(.serialized, .enabled(if: Kernel.isOurs, "needs network namespaces, VXLAN and nftables"))
struct UntrueSenderTests {
    @Test func countersAreFoundByTheirNames() {
        let text = "TcpExt: A IPReversePathFilter B\nTcpExt: 1 27 3\nIpExt: C\nIpExt: 9\n"
        #expect(UntrueSenders.count(text) == 27)
        for bad in [
            "", "TcpExt: A\n", "TcpExt: A IPReversePathFilter\nTcpExt: 1\n", "IpExt: IPReversePathFilter\nIpExt: 1\n",
        ] {
            #expect(UntrueSenders.count(bad) == nil, "\(bad)")
        }
    }

    /// A pod that gives itself another pod's address is heard by nobody, and its node can tell.
    @Test func aPodCannotSpeakForAnother() async throws {
        let scratch = try Scratch()
        let fabric = try await Fabric(stateDirectory: scratch.path)
        let liar = try await fabric.pod("ns/liar", on: 0)
        let victim = try await fabric.pod("ns/victim", on: 0)
        let far = try await fabric.pod("ns/far", on: 1)
        var counter = UntrueSenders()
        #expect(counter.news(in: fabric.nodes[0].namespace) == nil)
        let routes = try RouteSocket(in: liar.namespace)
        let link = try #require(try routes.link(named: "eth0")).index
        for (claimed, target) in [
            (victim.address, far), (far.address, victim), (IPAddress("192.0.2.1")!, far),
            (fabric.nodes[0].address, victim),
        ] {
            let receiver = try TestSocket(target.namespace, datagrams: true)
            try receiver.bind(port: 9, listen: nil)
            let own = LinkAddress(linkIndex: link, address: claimed, prefix: 32)
            try routes.replace(own)
            let honest = try TestSocket(liar.namespace, datagrams: true)
            try honest.bind(liar.address, port: 0)
            let lying = try TestSocket(liar.namespace, datagrams: true)
            try lying.bind(claimed, port: 0)
            #expect(lying.connect(target.address, 9) == 0 && lying.send("lie") == 0)
            #expect(honest.connect(target.address, 9) == 0 && honest.send("truth") == 0)
            #expect(receiver.receive() == "truth", "from \(claimed)")
            #expect(!receiver.hasWaiting(), "from \(claimed)")
            try routes.delete(own)
        }
        // The node's own address is refused before anybody counts.
        #expect(counter.news(in: fabric.nodes[0].namespace) == 3)
        #expect(counter.news(in: fabric.nodes[0].namespace) == nil)
    }
}

extension TestSocket {
    fileprivate func bind(_ address: IPAddress, port: UInt16) throws {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(address.low).bigEndian
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0 else { throw SystemError("bind", "\(address)", errno: errno) }
    }
}
