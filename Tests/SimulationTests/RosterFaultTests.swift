import Basics
import Client
import Controllers
import Document
import Kinds
import Simulation
import Testing
import Wire

extension FaultScenario {
    static let loadBalancers: FaultScenario = {
        var options = SimulatedCluster.defaultOptions
        options.loadBalancerPool = CIDR("198.19.0.0/24")
        return FaultScenario(
            "services get an address each", controllers: ["service-lb-controller"], options: options,
            begin: { cluster in
                for name in ["one", "two"] {
                    var service = service(name, selector: ["app": "web"])
                    service.set("LoadBalancer", at: "spec", "type")
                    _ = try await cluster.client.create(.services, service)
                }
            },
            end: { cluster in
                let addresses = try await cluster.client.list(.services, namespace: "default").list("items")
                    .flatMap { $0.list("status", "loadBalancer", "ingress") }.compactMap { $0.text("ip") }
                return addresses.count == 2 && Set(addresses).count == 2
            })
    }()

    static let accountTokens: FaultScenario = {
        var options = SimulatedCluster.defaultOptions
        options.tokenMaker = { namespace, account, _, secret in "\(namespace)/\(account)/\(secret)" }
        return FaultScenario(
            "a Secret is filled with its account's token, and goes without the account",
            controllers: ["serviceaccount-token-controller"], options: options,
            begin: { cluster in
                _ = try await cluster.client.create(.secrets, tokenSecret("mine", account: "default"))
                _ = try await cluster.client.create(.secrets, tokenSecret("lost", account: "nobody"))
            },
            end: { cluster in
                let secrets = try await cluster.client.list(.secrets, namespace: "default").list("items")
                return secrets.map { $0.text("metadata", "name") } == ["mine"]
                    && secrets[0].text("data", "token") == Base64.encode(Array("default/default/mine".utf8))
                    && secrets[0].text("metadata", "annotations", "kubernetes.io/service-account.uid") != nil
            })
    }()

    static let joinTokens = FaultScenario(
        "join tokens sign the cluster's description, until they end",
        controllers: ["bootstrap-signer-controller", "token-cleaner-controller"],
        begin: { cluster in
            let client = cluster.client
            do {
                _ = try await client.create(
                    .namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "kube-public"]])
            } catch let status as APIStatus where status.isAlreadyExists {}
            var map = configMap("cluster-info", namespace: "kube-public")
            map["data"] = ["kubeconfig": "hello"]
            _ = try await client.create(.configMaps, map)
            let soon = (cluster.world.clock.now + .seconds(20)).rfc3339()
            _ = try await client.create(.secrets, joinToken("abcdef", expiration: nil))
            _ = try await client.create(.secrets, joinToken("brief0", expiration: soon))
        },
        end: { cluster in
            let map = try await cluster.client.get(.configMaps, namespace: "kube-public", name: "cluster-info")
            let left = try await cluster.client.list(.secrets, namespace: "kube-system").list("items")
                .compactMap { $0.text("metadata", "name") }.filter { $0.hasPrefix("bootstrap-token-") }
            return map.map("data").keys.sorted() == ["jws-kubeconfig-abcdef", "kubeconfig"]
                && left == ["bootstrap-token-abcdef"]
        })

    static let requestCleaning = FaultScenario(
        "a request that was denied goes after an hour",
        controllers: ["certificatesigningrequest-cleaner-controller"], limit: .seconds(600),
        begin: { cluster in
            let key = try PrivateKey.generate()
            for name in ["denied", "fresh"] {
                let request = try CertificateRequest.make(commonName: name, organizations: [], key: key)
                _ = try await cluster.client.create(
                    .certificateSigningRequests,
                    [
                        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
                        "metadata": ["name": Document(name)],
                        "spec": [
                            "request": Document(Base64.encode(request)), "signerName": "example.com/signer",
                            "usages": ["client auth"],
                        ],
                    ])
            }
            let now = Document(cluster.world.clock.now.rfc3339())
            _ = try await cluster.client.patch(
                .certificateSigningRequests, name: "denied",
                [
                    "status": [
                        "conditions": [
                            [
                                "type": "Denied", "status": "True", "reason": "No", "message": "no",
                                "lastUpdateTime": now, "lastTransitionTime": now,
                            ]
                        ]
                    ]
                ], subresource: "approval")
            try await cluster.world.clock.sleep(for: .seconds(3_590))
        },
        end: { cluster in
            try await cluster.client.list(.certificateSigningRequests).list("items")
                .map { $0.text("metadata", "name") } == ["fresh"]
        })

    static let legacyTokens: FaultScenario = {
        var options = SimulatedCluster.defaultOptions
        options.legacyTokenPatience = .seconds(3_600)
        return FaultScenario(
            "tokens that nobody uses are marked, and then removed",
            controllers: ["legacy-serviceaccount-token-cleaner-controller"], options: options, limit: .seconds(1_800),
            begin: { cluster in
                let client = cluster.client
                var map = configMap("kube-apiserver-legacy-service-account-token-tracking", namespace: "kube-system")
                map["data"] = ["since": "2001-01-01"]
                do { _ = try await client.create(.configMaps, map) } catch let status as APIStatus
                    where status.isAlreadyExists
                {
                    _ = try await client.patch(
                        .configMaps, namespace: "kube-system",
                        name: "kube-apiserver-legacy-service-account-token-tracking", ["data": map["data"] ?? .null])
                }
                _ = try await client.create(
                    .serviceAccounts,
                    [
                        "apiVersion": "v1", "kind": "ServiceAccount",
                        "metadata": ["name": "old", "namespace": "default"],
                        "secrets": [["name": "unused"], ["name": "mounted"]],
                    ])
                for name in ["unused", "mounted", "asked-for"] {
                    _ = try await client.create(.secrets, tokenSecret(name, account: "old"))
                }
                var pod = pod("user", app: "user")
                pod.set([["name": "t", "secret": ["secretName": "mounted"]]], at: "spec", "volumes")
                _ = try await client.create(.pods, pod)
                try await cluster.world.clock.sleep(for: .seconds(4 * 3_600))
            },
            end: { cluster in
                let left = try await cluster.client.list(.secrets, namespace: "default").list("items")
                return left.map { $0.text("metadata", "name") } == ["asked-for", "mounted"]
                    && left.allSatisfy {
                        $0.text("metadata", "labels", "kubernetes.io/legacy-token-invalid-since") == nil
                    }
            })
    }()

    static let others: [FaultScenario] = [loadBalancers, accountTokens, joinTokens, requestCleaning, legacyTokens]

    /// All that there are, each of which some suite runs.
    static let everyOne: [FaultScenario] =
        all + [endpoints, mirrored, certificate, quota, serviceRange, deviceClaim, policyStatus] + workloads + volumes
        + others

    // MARK: Objects

    private static func tokenSecret(_ name: String, account: String) -> Document {
        [
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": [
                "name": Document(name), "namespace": "default",
                "annotations": ["kubernetes.io/service-account.name": Document(account)],
            ],
        ]
    }

    private static func joinToken(_ id: String, expiration: String?) -> Document {
        var data: Document = [
            "token-id": Document(id), "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true",
        ]
        if let expiration { data["expiration"] = Document(expiration) }
        return [
            "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
            "metadata": ["name": Document("bootstrap-token-\(id)"), "namespace": "kube-system"], "stringData": data,
        ]
    }
}

@Suite struct RosterFaultTests {
    @Test(arguments: FaultScenario.others) func everyCallMayFail(_ scenario: FaultScenario) throws {
        try expectEveryCallMayFail(scenario, most: 6)
    }

    private struct Nowhere: Transport {
        func send(_ request: Request) async throws -> any ResponseStream { throw CancellationError() }
    }

    /// A controller that is added to the manager is missing here until it has its case.
    @Test func everyControllerHasItsCase() throws {
        var options = SimulatedCluster.defaultOptions
        options.loadBalancerPool = CIDR("198.19.0.0/24")
        options.tokenMaker = { _, _, _, _ in "" }
        options.signer = FaultScenario.certificate.options.signer
        let given = options
        let names = try Simulation.run(seed: 1) { world in
            controllerNames(client: APIClient(transport: Nowhere(), userAgent: "test"), world: world, options: given)
        }
        #expect(Set(names).count == names.count, "two controllers of one name")
        let covered = Set(FaultScenario.everyOne.flatMap(\.controllers))
        #expect(Set(names).subtracting(covered).sorted() == [])
        #expect(covered.subtracting(names).sorted() == [], "cases of controllers that are not there")
    }
}
