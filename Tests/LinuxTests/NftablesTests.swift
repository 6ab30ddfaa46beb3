import Basics
import Glibc
import Testing

@testable import Linux

@Suite struct NftablesBatchTests {
    private func messages(_ batch: NftBatch) throws -> [NetlinkMessage] {
        try #require(NetlinkMessage.parse(batch.finished().datagram))
    }

    @Test func batchIsFramed() throws {
        var batch = NftBatch(table: "t")
        batch.addTable()
        let all = try messages(batch)
        #expect(all.map(\.type) == [0x10, 0x0A00, 0x11])
        #expect(all.map(\.flags) == [1, 0x405, 1])
        #expect(all.map(\.sequence) == [0, 1, 2])
        #expect(all[0].body.elementsEqual([0, 0, 0, 10]))
        #expect(all[1].body.prefix(4).elementsEqual([2, 0, 0, 0]))
        #expect(all[1].attributes(after: 4)?[1]?.text == "t")
    }

    @Test func concatenatedMapIsDescribed() throws {
        var batch = NftBatch(table: "t")
        batch.addSet(NftSet("m", key: [.address, .protocolNumber, .port, .mark], value: .data([.address, .port])))
        let set = try #require(try messages(batch)[1].attributes(after: 4))
        #expect(set[3]?.network(UInt32.self) == 8)  // a map
        // Six bits a type: 7, 12, 13, 19.
        #expect(set[4]?.network(UInt32.self) == 1_885_011)
        #expect(set[5]?.network(UInt32.self) == 16)
        #expect(set[6]?.network(UInt32.self) == 461)
        #expect(set[7]?.network(UInt32.self) == 8)
    }

    @Test func expressionsAreNamedAndNumbered() throws {
        var batch = NftBatch(table: "t")
        batch.addRule(
            "c", [.destinationAddress(to: 2), .random(modulus: 3, to: 5), .destinationNAT(address: 0, port: 1)])
        let rule = try #require(try messages(batch)[1].attributes(after: 4))
        #expect(rule[1]?.text == "t" && rule[2]?.text == "c")
        let expressions = try #require(rule[4]?.nested).all.compactMap(\.nested)
        #expect(expressions.compactMap { $0[1]?.text } == ["payload", "numgen", "nat"])
        let payload = try #require(expressions[0][2]?.nested)
        #expect((1...4).map { payload[$0]?.network(UInt32.self) } == [10, 1, 16, 4])
        let random = try #require(expressions[1][2]?.nested)
        #expect((1...4).map { random[$0]?.network(UInt32.self) } == [13, 3, 1, 0])
        let nat = try #require(expressions[2][2]?.nested)
        #expect([1, 2, 3, 5].map { nat[$0]?.network(UInt32.self) } == [1, 2, 8, 9])
    }

    @Test func verdictElementsNameTheirChain() throws {
        var batch = NftBatch(table: "t")
        batch.addElements("v", [NftElement([1, 2, 3, 4], .verdict(.goto("x")))])
        let message = try #require(try messages(batch)[1].attributes(after: 4))
        let element = try #require(message[3]?.nested?.all.first?.nested)
        #expect(element[1]?.nested?[1]?.payload.elementsEqual([1, 2, 3, 4]) == true)
        let verdict = try #require(element[2]?.nested?[2]?.nested)
        #expect(verdict[1]?.network(Int32.self) == -4)
        #expect(verdict[2]?.text == "x")
    }

    @Test func longElementListsAreCut() throws {
        var batch = NftBatch(table: "t")
        batch.addElements("s", (0..<5000).map { NftElement(IPAddress(v4: UInt32($0)).bytes) })
        let all = try messages(batch)
        #expect(all.count > 3)
        let counts = all.dropFirst().dropLast().map { $0.attributes(after: 4)?[3]?.nested?.all.count ?? 0 }
        #expect(counts.reduce(0, +) == 5000)
    }

    @Test func firstRefusalIsNamed() throws {
        let kernel = ScriptedNetlink([
            ScriptedNetlink.verdict(0, sequence: 1), ScriptedNetlink.verdict(ENOENT, sequence: 2),
            ScriptedNetlink.verdict(EINVAL, sequence: 3),
        ])
        var batch = NftBatch(table: "t")
        batch.addTable()
        batch.deleteSet("gone")
        batch.deleteChain("c")
        let error = #expect(throws: NetlinkError.self) {
            try Nftables(NetlinkSocket(transport: kernel)).commit(batch)
        }
        #expect(error?.errno == ENOENT)
        #expect(error?.description.contains("table t: delete set gone") == true)
    }
}

@Suite(.enabled(if: Need.namespaces, "needs the right to make network namespaces"))
struct NftablesKernelTests {
    private func listing(_ namespace: NetworkNamespace) throws -> String {
        try namespace.run {
            guard let pipe = popen("/usr/sbin/nft list ruleset", "r") else {
                throw SystemError("start nft", errno: errno)
            }
            defer { pclose(pipe) }
            var text: [UInt8] = []
            while case let byte = fgetc(pipe), byte >= 0 { text.append(UInt8(byte)) }
            return String(decoding: text, as: UTF8.self)
        }
    }

    /// One rule of every expression that the kernel is asked to run.
    private func everything() -> NftBatch {
        var batch = NftBatch(table: "lab-test")
        batch.resetTable()
        batch.addChain("end")
        batch.addChain("pre", NftHook(.nat, .prerouting, priority: -100))
        batch.addChain("post", NftHook(.nat, .postrouting, priority: 100))
        batch.addChain("filter", NftHook(.filter, .forward, priority: 0))
        batch.addSet(NftSet("plain", key: [.address]))
        batch.addSet(NftSet("where", key: [.address, .protocolNumber, .port], value: .verdict))
        batch.addSet(NftSet("to", key: [.address, .protocolNumber, .port, .mark], value: .data([.address, .port])))
        batch.addSet(NftSet("sticky", key: [.address, .port], value: .data([.mark]), dynamic: true, size: 1000))
        batch.addSet(NftSet("id", key: [.address, .protocolNumber, .port, .mark], value: .data([.mark])))
        batch.addElements("plain", [NftElement([10, 0, 0, 1])])
        batch.addElements(
            "where", [NftElement([10, 0, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0], .verdict(.goto("end")))])
        batch.addElements(
            "to",
            [NftElement([10, 0, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0, 1, 0, 0, 0], .data([10, 1, 0, 1, 31, 144, 0, 0]))])
        batch.addRule(
            "pre",
            [
                .destinationAddress(to: 0), .meta(.protocolNumber, to: 1), .destinationPort(to: 2),
                .lookupVerdict(map: "where", key: 0),
            ])
        batch.addRule(
            "end",
            [
                .destinationAddress(to: 0), .meta(.protocolNumber, to: 1), .destinationPort(to: 2),
                .random(modulus: 2, to: 3), .lookupValue(map: "id", key: 0, to: 4), .setMark(from: 4),
                .sourceAddress(to: 8), .destinationPort(to: 9), .meta(.mark, to: 10),
                .update(.delete, set: "sticky", key: 8, data: 10, timeoutMilliseconds: nil),
                .update(.update, set: "sticky", key: 8, data: 10, timeoutMilliseconds: 10_000),
                .meta(.mark, to: 3), .immediate([0, 0, 0, 0], to: 4), .setMark(from: 4),
                .lookupValue(map: "to", key: 0, to: 4), .destinationNAT(address: 4, port: 5),
            ])
        batch.addRule(
            "post",
            [
                .connection(.status, nil, to: 0), .mask(from: 0, to: 0, mask: [32, 0, 0, 0], xor: [0, 0, 0, 0]),
                .compare(0, .notEqual, [0, 0, 0, 0]), .connection(.destinationAddress, .original, to: 0),
                .connection(.destinationPort, .original, to: 1), .counter, .masquerade,
            ])
        batch.addRule(
            "filter",
            [.sourceAddress(to: 0), .lookup(set: "plain", key: 0, inverted: true), .reject(.icmpPortUnreachable)])
        batch.addRule("filter", [.meta(.protocolNumber, to: 0), .compare(0, .equal, [6]), .reject(.tcpReset)])
        batch.addRule(
            "filter",
            [
                .sourceAddress(to: 0), .hash(from: 0, length: 4, modulus: 8, seed: 1, to: 1),
                .immediate([7, 0, 0, 0], to: 2), .setMark(from: 2), .verdict(.accept),
            ])
        return batch
    }

    @Test func everyExpressionIsTaken() throws {
        let namespace = try NetworkNamespace.make()
        let tables = try Nftables(in: namespace)
        #expect(try !tables.hasTable("lab-test"))
        try tables.commit(everything())
        try tables.commit(everything())
        #expect(try tables.hasTable("lab-test"))
        #expect(try tables.elements(table: "lab-test", set: "plain") == [NftElement([10, 0, 0, 1])])
        var change = NftBatch(table: "lab-test")
        let key: [UInt8] = [10, 0, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0, 1, 0, 0, 0]
        change.deleteElements("to", [NftElement(key)])
        change.addElements("to", [NftElement(key, .data([10, 1, 0, 2, 31, 144, 0, 0]))])
        try tables.commit(change)
        #expect(
            try tables.elements(table: "lab-test", set: "to") == [NftElement(key, .data([10, 1, 0, 2, 31, 144, 0, 0]))])
        var broken = NftBatch(table: "lab-test")
        broken.addElements("plain", [NftElement([10, 0, 0, 2])])
        broken.deleteSet("nothing")
        let error = #expect(throws: NetlinkError.self) { try tables.commit(broken) }
        #expect(error?.errno == ENOENT)
        #expect(try tables.elements(table: "lab-test", set: "plain").count == 1)
    }

    @Test(.enabled(if: Need.nft, "needs nft"))
    func nftReadsItAsMeant() throws {
        let namespace = try NetworkNamespace.make()
        try Nftables(in: namespace).commit(everything())
        let text = try listing(namespace)
        for line in [
            "type ipv4_addr . inet_proto . inet_service : verdict",
            "10.0.0.1 . tcp . 80 : goto end",
            "10.0.0.1 . tcp . 80 . 0x00000001 : 10.1.0.1 . 8080",
            "type nat hook prerouting priority dstnat; policy accept;",
            "type nat hook postrouting priority srcnat; policy accept;",
            "ip daddr . meta l4proto . th dport vmap @where",
            "ct status dnat", "masquerade", "reject with tcp reset", "ip saddr != @plain reject",
        ] { #expect(text.contains(line), "\(line)\n\(text)") }
    }
}
