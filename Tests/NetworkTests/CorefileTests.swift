import Basics
import Document
import Testing
import Wire

@testable import DNS

@Suite struct CorefileTests {
    private static let domain = DNSName("cluster.local") ?? .root
    private static let host = Endpoint.ip(IPAddress(v4: 0x0808_0808), port: 53)

    private static func read(_ text: String) throws -> DNSConfiguration {
        try DNSConfiguration(text, domain: domain, resolvers: [host])
    }

    private static func refusal(_ text: String) -> CorefileError? {
        do {
            _ = try read(text)
            return nil
        } catch {
            return error as? CorefileError
        }
    }

    @Test func whatKubeadmWritesIsUnderstood() throws {
        let configuration = try Self.read(
            """
            .:53 {
                errors
                health {
                   lameduck 5s
                }
                ready
                kubernetes cluster.local in-addr.arpa ip6.arpa {
                   pods insecure
                   fallthrough in-addr.arpa ip6.arpa
                   ttl 30
                }
                prometheus :9153
                forward . /etc/resolv.conf {
                   max_concurrent 1000
                }
                cache 30 {
                   success 500 20
                   denial 100 10
                }
                loop
                reload
                loadbalance
            }
            """)
        let block = try #require(configuration.blocks.first)
        #expect(block.zones == [.root])
        #expect(configuration.health == 8080 && configuration.ready == 8181 && configuration.metrics == 9153)
        #expect(block.cluster?.namesPods == true && block.cluster?.timeToLive == 30)
        #expect(block.cluster?.passing == .zones([Zone.reverse4, Zone.reverse6]))
        #expect(block.forward?.upstreams == [Self.host] && block.forward?.mostConcurrent == 1000)
        #expect(block.cache == CacheLimits(found: 20, absent: 10, capacity: 500))
        // What cannot be done is said, not passed over.
        #expect(configuration.remarks == [CorefileError(4, "'lameduck' has no effect here")])
    }

    @Test func theStandardConfigurationIsOne() throws {
        let configuration = try Self.read(DNSConfiguration.standardText(domain: "cluster.local"))
        #expect(configuration.blocks.count == 1 && configuration.remarks.isEmpty)
        #expect(configuration.blocks[0].cluster?.timeToLive == 30)
    }

    @Test func stubDomainsAndRecordsByHand() throws {
        let configuration = try Self.read(
            """
            # our own names
            corp.example:53, lan {   # two zones
                errors
                cache 30
                forward . 10.1.1.1 10.1.1.2:5353 {
                    policy sequential
                    except secret.corp.example
                    force_tcp
                }
            }
            . {
                log
                hosts {
                    10.0.0.1 one.example two.example
                    fd00::1 one.example
                    ttl 60
                    no_reverse
                    fallthrough
                }
                rewrite name foo.example web.default.svc.cluster.local
                rewrite continue name suffix .old.example .example answer auto
                kubernetes cluster.local
                forward . /etc/resolv.conf
            }
            """)
        let stub = configuration.blocks[0]
        #expect(stub.zones.map(\.description) == ["corp.example.", "lan."])
        #expect(
            stub.forward?.upstreams == [
                .ip(IPAddress(v4: 0x0A01_0101), port: 53), .ip(IPAddress(v4: 0x0A01_0102), port: 5353),
            ])
        #expect(stub.forward?.policy == .sequential && stub.forward?.usesStreams == true)
        let main = configuration.blocks[1]
        let one = try #require(DNSName("ONE.example"))
        #expect(main.logsQueries && main.hosts?.addresses[one]?.count == 2)
        #expect(main.hosts?.passing == .zones([]))
        #expect(main.rewrites.count == 2 && main.rewrites[1].continues)
        for (name, index) in [("a.corp.example", 0), ("lan", 0), ("corp.example.org", 1), ("x", 1)] {
            #expect(configuration.block(for: try #require(DNSName(name))) == index)
        }
    }

    @Test(arguments: [
        ("", 1, "no server block"), (". {\n errors", 1, "has no '}'"), ("{\n}", 1, "begins with its zones"),
        (". {\n route53\n}", 2, "'route53' is not known; known are cache"),
        (". {\n errors\n errors\n}", 3, "a second 'errors'"), (".:54 {\n}", 1, "the server's port is 53"),
        ("tls://. {\n}", 1, "only plain DNS"), (". {\n forward .\n}", 2, "write 'forward"),
        (". {\n forward . resolver.example\n}", 2, "no address of a resolver"),
        (". {\n forward . tls://9.9.9.9\n}", 2, "plain DNS only"),
        (". {\n forward . 1.1.1.1 {\n  juggle\n }\n}", 3, "'juggle' is not known of forward"),
        (". {\n kubernetes other.local\n}", 2, "not the cluster's domain"),
        (". {\n kubernetes cluster.local {\n  pods verified\n }\n}", 3, "insecure or disabled"),
        (". {\n hosts /etc/hosts\n}", 2, "reads no file"), (". {\n cache 0\n}", 2, "a number from 1"),
        (". {\n rewrite name regex (.*) x\n}", 2, "exact, prefix, suffix or substring"),
        (". {\n health 8080\n}", 2, "takes an address such as :8080"),
        (". {\n}\n. {\n}", 3, "two blocks are for ."), (". {\n log \"a\n}", 2, "never closed"),
    ])
    func whatIsWrongIsNamedWithItsLine(_ text: String, _ line: Int, _ message: String) throws {
        let refusal = try #require(Self.refusal(text))
        #expect(refusal.line == line && refusal.message.contains(message), "\(refusal)")
    }

    @Test func namesAreRewritten() throws {
        func rule(_ match: NameRewrite.Match, _ from: String, _ to: String, goesOn: Bool = false) -> NameRewrite {
            NameRewrite(match: match, from: from, to: to, continues: goesOn)
        }
        func result(_ rules: [NameRewrite], _ name: String) throws -> String {
            NameRewrite.apply(rules, to: try #require(DNSName(name))).description
        }
        #expect(try result([rule(.exact, "a.b.", "c.d.")], "A.b") == "c.d.")
        #expect(try result([rule(.exact, "a.b.", "c.d.")], "x.a.b") == "x.a.b.")
        #expect(try result([rule(.prefix, "dev-", "")], "dev-web.x") == "web.x.")
        #expect(try result([rule(.suffix, ".old.", ".new.")], "web.old") == "web.new.")
        #expect(try result([rule(.substring, "aa", "b")], "aaaa.aa.c") == "bb.b.c.")
        // The first that applies ends the rules, unless it lets them go on.
        let chain = [rule(.exact, "a.", "b.", goesOn: true), rule(.exact, "b.", "c."), rule(.exact, "c.", "d.")]
        #expect(try result(chain, "a") == "c.")
        // What would be no name any more is left as it is.
        #expect(try result([rule(.exact, "a.", "b..c.")], "a") == "a.")
    }
}

@Suite struct DNSPlanTests {
    private static func plan(_ text: String) throws -> DNSPlan {
        let domain = try #require(DNSName("cluster.local"))
        let configuration = try DNSConfiguration(
            text, domain: domain, resolvers: [.ip(IPAddress(v4: 0x0808_0808), port: 53)])
        let world = World(clock: FrozenClock(), random: ConstantRandom(), network: AbsentNetwork())
        return DNSPlan(configuration, metrics: DNSMetrics(), world: world, log: .silent)
    }

    private static func zone() throws -> Zone {
        var zone = Zone(domain: try #require(DNSName("cluster.local")))
        zone.setNamespace("default", exists: true)
        zone.setService(
            "default/web", ["metadata": ["name": "web", "namespace": "default"], "spec": ["clusterIP": "10.96.0.7"]])
        zone.setService(
            "default/far",
            [
                "metadata": ["name": "far", "namespace": "default"],
                "spec": ["type": "ExternalName", "externalName": "db.corp.example"],
            ])
        for (name, target) in [("a", "b"), ("b", "a")] {
            zone.setService(
                "default/\(name)",
                [
                    "metadata": ["name": Document(name), "namespace": "default"],
                    "spec": [
                        "type": "ExternalName", "externalName": Document("\(target).default.svc.cluster.local"),
                    ],
                ])
        }
        return zone
    }

    /// In short: the answers' data, or what became of the question.
    private static func ask(
        _ plan: DNSPlan, _ name: String, _ type: DNSType = .a, isReady: Bool = true
    ) throws -> String {
        let question = DNSQuestion(try #require(DNSName(name)), type)
        switch plan.decide(question, zone: try zone(), isReady: isReady) {
        case .found(let answers, _, _):
            return answers.map { record in
                switch record.data {
                case .address(let address): "\(record.name) \(address)"
                case .cname(let target), .ptr(let target): "\(record.name) \(target)"
                default: "\(record)"
                }
            }.joined(separator: ", ")
        case .absent: return "absent"
        case .failed(let code): return "\(code)"
        case .ask(let forwarder, let name, let chain):
            let index = plan.forwarders.firstIndex { $0 === forwarder } ?? -1
            return "ask \(index) for \(name)" + (chain.isEmpty ? "" : " after \(chain.count)")
        }
    }

    private static let text = """
        corp.example {
            forward . 10.1.1.1 {
                except secret.corp.example
            }
        }
        . {
            hosts {
                10.0.0.1 one.example
                10.0.0.2 shadow.default.svc.cluster.local
                fallthrough
            }
            rewrite name short.example web.default.svc.cluster.local
            kubernetes cluster.local in-addr.arpa {
                fallthrough in-addr.arpa
                pods disabled
            }
            forward . /etc/resolv.conf
        }
        """

    @Test func everyNameFindsWhoAnswersForIt() throws {
        let plan = try Self.plan(Self.text)
        let expected = [
            ("web.default.svc.cluster.local", "web.default.svc.cluster.local. 10.96.0.7"),
            ("nobody.default.svc.cluster.local", "absent"), ("one.example", "one.example. 10.0.0.1"),
            ("shadow.default.svc.cluster.local", "shadow.default.svc.cluster.local. 10.0.0.2"),
            // The answer carries the name that was asked for.
            ("short.example", "short.example. 10.96.0.7"), ("db.corp.example", "ask 0 for db.corp.example."),
            ("secret.corp.example", "REFUSED"), ("elsewhere.example", "ask 1 for elsewhere.example."),
            // An alias into a stub domain is asked for there.
            ("far.default.svc.cluster.local", "ask 0 for db.corp.example. after 1"),
        ]
        for (name, answer) in expected { #expect(try Self.ask(plan, name) == answer, "\(name)") }
        #expect(
            try Self.ask(plan, "7.0.96.10.in-addr.arpa", .ptr)
                == "7.0.96.10.in-addr.arpa. web.default.svc.cluster.local.")
        #expect(try Self.ask(plan, "1.0.0.10.in-addr.arpa", .ptr) == "1.0.0.10.in-addr.arpa. one.example.")
        #expect(try Self.ask(plan, "9.9.9.9.in-addr.arpa", .ptr) == "ask 1 for 9.9.9.9.in-addr.arpa.")
        // A circle of aliases ends.
        #expect(try Self.ask(plan, "a.default.svc.cluster.local").split(separator: ",").count == 8)
    }

    @Test func whatIsNotThereYetIsNotAbsent() throws {
        let plan = try Self.plan(Self.text)
        #expect(try Self.ask(plan, "web.default.svc.cluster.local", isReady: false) == "SERVFAIL")
        #expect(try Self.ask(plan, "one.example", isReady: false) == "one.example. 10.0.0.1")
        #expect(try Self.ask(plan, "elsewhere.example", isReady: false) == "ask 1 for elsewhere.example.")
    }

    @Test func aTableThatLetsNothingThroughKnowsNoAbsence() throws {
        let plan = try Self.plan(". {\n hosts {\n 10.0.0.1 one.example\n }\n kubernetes cluster.local\n}")
        #expect(try Self.ask(plan, "one.example") == "one.example. 10.0.0.1")
        #expect(try Self.ask(plan, "one.example", .aaaa) == "")
        #expect(try Self.ask(plan, "web.default.svc.cluster.local") == "SERVFAIL")
        #expect(try Self.ask(try Self.plan("cluster.local {\n kubernetes\n}"), "example.org") == "REFUSED")
    }
}

private struct FrozenClock: WorldClock {
    var now: Timestamp { Timestamp(seconds: 0) }
    var uptime: Duration { .zero }
    func sleep(for duration: Duration) async throws {}
}

private struct ConstantRandom: Randomness {
    func next() -> UInt64 { 4 }
}

private struct AbsentNetwork: Network {
    struct Nothing: Error {}
    func connect(to endpoint: Endpoint) async throws -> any Connection { throw Nothing() }
    func listen(on endpoint: Endpoint) async throws -> any Listener { throw Nothing() }
    func datagrams(on endpoint: Endpoint) async throws -> any DatagramSocket { throw Nothing() }
}
