import Basics
import Document
import Testing
import Wire

@testable import DNS

@Suite struct ZoneTests {
    private static func zone() throws -> Zone {
        var zone = Zone(domain: try #require(DNSName("cluster.local")), servers: [IPAddress(v4: 0x0A60_000A)])
        for name in ["default", "empty"] { zone.setNamespace(name, exists: true) }
        zone.setService(
            "default/web",
            [
                "metadata": ["name": "web", "namespace": "default"],
                "spec": [
                    "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"],
                    "ports": [
                        ["name": "http", "port": 80, "protocol": "TCP"],
                        ["name": "dns", "port": 53, "protocol": "UDP"],
                    ],
                ],
            ])
        zone.setService(
            "default/db",
            [
                "metadata": ["name": "db", "namespace": "default"],
                "spec": ["clusterIP": "None", "ports": [["name": "pg", "port": 5432]]],
            ])
        zone.setSlice(
            "default/db-1",
            [
                "metadata": ["name": "db-1", "namespace": "default", "labels": ["kubernetes.io/service-name": "db"]],
                "addressType": "IPv4",
                "endpoints": [
                    ["addresses": ["10.244.1.5"], "hostname": "db-0", "conditions": ["ready": true]],
                    ["addresses": ["10.244.1.6"]],
                    ["addresses": ["10.244.1.7"], "conditions": ["ready": false]],
                ],
                "ports": [["name": "pg", "port": 15432, "protocol": "TCP"]],
            ])
        zone.setService(
            "default/out",
            [
                "metadata": ["name": "out", "namespace": "default"],
                "spec": ["type": "ExternalName", "externalName": "example.com"],
            ])
        zone.setService(
            "default/bare", ["metadata": ["name": "bare", "namespace": "default"], "spec": ["clusterIP": "None"]])
        return zone
    }

    private static func ask(_ zone: Zone, _ name: String, _ type: DNSType = .a) throws -> Zone.Verdict {
        zone.answer(DNSQuestion(try #require(DNSName(name)), type))
    }

    private static func data(_ verdict: Zone.Verdict) -> [DNSData]? {
        guard case .found(let answers, _) = verdict else { return nil }
        return answers.map(\.data)
    }

    private static func address(_ text: String) throws -> DNSData { .address(try #require(IPAddress(text))) }

    @Test func clusterAddresses() throws {
        let zone = try Self.zone()
        #expect(Self.data(try Self.ask(zone, "web.default.svc.cluster.local")) == [try Self.address("10.96.0.7")])
        #expect(Self.data(try Self.ask(zone, "WEB.Default.SVC.cluster.LOCAL", .aaaa)) == [try Self.address("fd00::7")])
        #expect(Self.data(try Self.ask(zone, "web.default.svc.cluster.local", .mx)) == [])
    }

    @Test func headlessServicesNameTheirReadyEndpoints() throws {
        var zone = try Self.zone()
        #expect(
            Self.data(try Self.ask(zone, "db.default.svc.cluster.local"))
                == [try Self.address("10.244.1.5"), try Self.address("10.244.1.6")])
        #expect(Self.data(try Self.ask(zone, "db-0.db.default.svc.cluster.local")) == [try Self.address("10.244.1.5")])
        #expect(
            Self.data(try Self.ask(zone, "10-244-1-6.db.default.svc.cluster.local"))
                == [try Self.address("10.244.1.6")])
        #expect(try Self.ask(zone, "10-244-1-7.db.default.svc.cluster.local") == .noSuchName)
        #expect(try Self.ask(zone, "bare.default.svc.cluster.local") == .noSuchName)
        zone.setService(
            "default/db",
            [
                "metadata": ["name": "db", "namespace": "default"],
                "spec": ["clusterIP": "None", "publishNotReadyAddresses": true],
            ])
        #expect(Self.data(try Self.ask(zone, "db.default.svc.cluster.local"))?.count == 3)
        zone.setSlice("default/db-1", nil)
        #expect(try Self.ask(zone, "db.default.svc.cluster.local") == .noSuchName)
    }

    @Test func ports() throws {
        let zone = try Self.zone()
        let web = try #require(DNSName("web.default.svc.cluster.local"))
        #expect(
            try Self.ask(zone, "_http._tcp.web.default.svc.cluster.local", .srv)
                == .found(
                    answers: [
                        DNSRecord(
                            try #require(DNSName("_http._tcp.web.default.svc.cluster.local")), timeToLive: 30,
                            .srv(priority: 0, weight: 100, port: 80, web))
                    ],
                    additionals: [
                        DNSRecord(web, timeToLive: 30, try Self.address("10.96.0.7")),
                        DNSRecord(web, timeToLive: 30, try Self.address("fd00::7")),
                    ]))
        #expect(try Self.ask(zone, "_http._udp.web.default.svc.cluster.local", .srv) == .noSuchName)
        #expect(Self.data(try Self.ask(zone, "web.default.svc.cluster.local", .srv))?.count == 2)
        let member = try #require(DNSName("db-0.db.default.svc.cluster.local"))
        let second = try #require(DNSName("10-244-1-6.db.default.svc.cluster.local"))
        #expect(
            Self.data(try Self.ask(zone, "_pg._tcp.db.default.svc.cluster.local", .srv))
                == [
                    .srv(priority: 0, weight: 50, port: 15432, member),
                    .srv(priority: 0, weight: 50, port: 15432, second),
                ])
    }

    @Test func absenceAndEmptinessDiffer() throws {
        let zone = try Self.zone()
        for name in ["cluster.local", "svc.cluster.local", "default.svc.cluster.local", "empty.svc.cluster.local"] {
            #expect(Self.data(try Self.ask(zone, name)) == [])
        }
        for name in [
            "nobody.default.svc.cluster.local", "nowhere.svc.cluster.local", "x.cluster.local",
            "a.b.c.web.default.svc.cluster.local", "x.web.default.svc.cluster.local",
            "1-2-3-4.nowhere.pod.cluster.local",
            "word.default.pod.cluster.local",
        ] {
            #expect(try Self.ask(zone, name) == .noSuchName, "\(name)")
        }
        for name in ["example.com", "local", "4.3.2.1.in-addr.arpa"] {
            #expect(try Self.ask(zone, name, .ptr) == .foreign)
        }
    }

    @Test func otherNames() throws {
        let zone = try Self.zone()
        let outside = try #require(DNSName("example.com"))
        #expect(
            try Self.ask(zone, "out.default.svc.cluster.local")
                == .alias(
                    [
                        DNSRecord(
                            try #require(DNSName("out.default.svc.cluster.local")), timeToLive: 30, .cname(outside))
                    ], to: outside))
        #expect(Self.data(try Self.ask(zone, "1-2-3-4.default.pod.cluster.local")) == [try Self.address("1.2.3.4")])
        #expect(
            Self.data(try Self.ask(zone, "2001-db8--1.default.pod.cluster.local", .aaaa))
                == [try Self.address("2001:db8::1")])
        #expect(Self.data(try Self.ask(zone, "dns-version.cluster.local", .txt)) == [.txt([Array("1.1.0".utf8)])])
        #expect(Self.data(try Self.ask(zone, "ns.dns.cluster.local")) == [try Self.address("10.96.0.10")])
    }

    @Test func addressesHaveNames() throws {
        let zone = try Self.zone()
        let web = try #require(DNSName("web.default.svc.cluster.local"))
        let member = try #require(DNSName("db-0.db.default.svc.cluster.local"))
        #expect(Self.data(try Self.ask(zone, "7.0.96.10.in-addr.arpa", .ptr)) == [.ptr(web)])
        #expect(Self.data(try Self.ask(zone, "5.1.244.10.in-addr.arpa", .ptr)) == [.ptr(member)])
        let nibbles = "7.0.0.0." + String(repeating: "0.0.0.0.", count: 6) + "0.0.d.f.ip6.arpa"
        #expect(Self.data(try Self.ask(zone, nibbles, .ptr)) == [.ptr(web)])
    }
}

@Suite struct AnswerCacheTests {
    private static func answer(_ name: String, _ time: UInt32) throws -> DNSMessage {
        let owner = try #require(DNSName(name))
        var message = DNSMessage(answering: DNSMessage(query: DNSQuestion(owner, .a), id: 3))
        message.answers = [DNSRecord(owner, timeToLive: time, .address(.loopback))]
        return message
    }

    @Test func answersAgeAndExpire() throws {
        var cache = AnswerCache()
        cache.store(try Self.answer("a.test", 20), now: .seconds(100))
        var query = DNSMessage(query: DNSQuestion(try #require(DNSName("A.test")), .a), id: 9)
        query.edns = DNSExtension(datagramSize: 4096)
        let fresh = cache.answer(query, now: .seconds(105))
        let known = try #require(fresh)
        #expect(known.id == 9)
        #expect(known.answers.map(\.timeToLive) == [15])
        #expect(known.edns != nil)
        let old = cache.answer(query, now: .seconds(120))
        #expect(old == nil)
    }

    @Test func itsSizeIsBounded() throws {
        var cache = AnswerCache(capacity: 10)
        for index in 0..<100 { cache.store(try Self.answer("n\(index).test", 20), now: .zero) }
        #expect(cache.count == 10)
        let latest = DNSMessage(query: DNSQuestion(try #require(DNSName("n99.test")), .a), id: 1)
        let kept = cache.answer(latest, now: .zero)
        #expect(kept != nil)
    }

    @Test func failuresAndTruncatedAnswersAreNotKept() throws {
        var cache = AnswerCache()
        var message = try Self.answer("a.test", 20)
        message.isTruncated = true
        cache.store(message, now: .zero)
        message.isTruncated = false
        message.code = .serverFailure
        cache.store(message, now: .zero)
        message.code = .nameError
        message.answers = []
        cache.store(message, now: .zero)
        #expect(cache.count == 0)
    }
}

@Test func resolverFilesNameTheirServers() {
    let file = ResolverFile(
        parsing: "# comment\nsearch a b\nnameserver 10.0.0.1\nnameserver\tfd00::1\nnameserver fe80::1%eth0\n")
    #expect(
        file.servers == [
            .ip(IPAddress(v4: 0x0A00_0001), port: 53), .ip(IPAddress(v6High: 0xFD00 << 48, low: 1), port: 53),
        ])
}
