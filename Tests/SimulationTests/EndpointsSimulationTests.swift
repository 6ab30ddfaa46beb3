import Basics
import Client
import Controllers
import Document
import Kinds
import Simulation
import Testing
import Wire

extension FaultScenario {
    static let endpoints = FaultScenario(
        "endpoints follow a service's pods", controllers: ["endpoints-controller"],
        begin: { cluster in
            let client = cluster.client
            _ = try await client.create(.services, service("web", selector: ["app": "web"]))
            for number in 1...2 { _ = try await client.create(.pods, pod("web-\(number)", app: "web")) }
        },
        end: { cluster in
            guard
                let endpoints = try? await cluster.client.get(.endpoints, namespace: "default", name: "web"),
                let subset = endpoints.list("subsets").first
            else { return false }
            return endpoints.list("subsets").count == 1 && subset.list("addresses").count == 2
                && subset.list("ports").first?.number("port") == 80
                && endpoints.text("metadata", "labels", "endpoints.kubernetes.io/managed-by") == "endpoint-controller"
        })

    static let mirrored = FaultScenario(
        "endpoints that a user wrote become slices", controllers: ["endpointslice-mirroring-controller"],
        begin: { cluster in
            _ = try await cluster.client.create(.services, service("out", selector: nil))
            _ = try await cluster.client.create(.endpoints, endpoints("out", address: "10.1.2.3"))
        },
        end: { cluster in
            let slices = try await cluster.client.list(
                .endpointSlices, namespace: "default", labelSelector: "kubernetes.io/service-name=out"
            ).list("items")
            let first = slices.first?.list("endpoints").first
            return slices.count == 1 && first?.list("addresses").first?.string == "10.1.2.3"
                && first?.flag("conditions", "ready") == true
                && slices[0].text("metadata", "labels", "endpointslice.kubernetes.io/managed-by")
                    == "endpointslicemirroring-controller.k8s.io"
        })

    static let certificate: FaultScenario = {
        var options = SimulatedCluster.defaultOptions
        let authority = try? CertificateAuthority.create(
            commonName: "test", now: Timestamp(seconds: 1_700_000_000), validity: .seconds(86_400 * 365))
        options.signer = authority.flatMap {
            try? CertificateSigning(certificatePEM: $0.certificatePEM, keyPEM: $0.keyPEM)
        }
        return FaultScenario(
            "a node's request is approved and signed",
            controllers: [
                "certificatesigningrequest-approving-controller", "certificatesigningrequest-signing-controller",
            ], options: options,
            begin: { cluster in
                let key = try PrivateKey.generate()
                let request = try CertificateRequest.make(
                    commonName: "system:node:a", organizations: ["system:nodes"], key: key)
                _ = try await cluster.client.create(
                    .certificateSigningRequests,
                    [
                        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
                        "metadata": ["name": "node-a"],
                        "spec": [
                            "request": Document(Base64.encode(request)),
                            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                            "usages": ["digital signature", "key encipherment", "client auth"],
                            "expirationSeconds": 3600,
                        ],
                    ])
            },
            end: { cluster in
                let request = try await cluster.client.get(.certificateSigningRequests, name: "node-a")
                guard let pem = Base64.decode(request.text("status", "certificate") ?? ""), !pem.isEmpty,
                    let certificate = try X509Certificate.parseAll(pem: pem).first
                else { return false }
                let conditions = request.list("status", "conditions")
                return certificate.commonName == "system:node:a" && certificate.organizations == ["system:nodes"]
                    && conditions.map { $0.text("reason") } == ["AutoApproved"]
            })
    }()

    static func service(_ name: String, selector: Document?) -> Document {
        var spec: Document = ["ports": [["port": 80]]]
        if let selector { spec["selector"] = selector }
        return [
            "apiVersion": "v1", "kind": "Service", "metadata": ["name": Document(name), "namespace": "default"],
            "spec": spec,
        ]
    }

    static func endpoints(_ name: String, address: String) -> Document {
        [
            "apiVersion": "v1", "kind": "Endpoints", "metadata": ["name": Document(name), "namespace": "default"],
            "subsets": [["addresses": [["ip": Document(address)]], "ports": [["port": 80]]]],
        ]
    }
}

@Suite struct EndpointsSimulationTests {
    @Test(arguments: [FaultScenario.endpoints, .mirrored, .certificate])
    func everyCallMayFail(_ scenario: FaultScenario) throws { try expectEveryCallMayFail(scenario) }

    @Test func mirrorsFollowAndGo() throws {
        try simulate(.real, seed: 41, nodes: 1) { cluster in
            let client = cluster.client
            @Sendable func addresses() async throws -> [String] {
                try await client.list(
                    .endpointSlices, namespace: "default", labelSelector: "kubernetes.io/service-name=out"
                ).list("items").flatMap { $0.list("endpoints") }.compactMap { $0.list("addresses").first?.string }
            }
            _ = try await client.create(.services, FaultScenario.service("out", selector: nil))
            _ = try await client.create(.endpoints, FaultScenario.endpoints("out", address: "10.1.2.3"))
            try await cluster.eventually("it is mirrored") { try await addresses() == ["10.1.2.3"] }
            _ = try await client.update(
                .endpoints, name: "out", FaultScenario.endpoints("out", address: "10.1.2.4"))
            try await cluster.eventually("the change is mirrored") { try await addresses() == ["10.1.2.4"] }
            _ = try await client.delete(.endpoints, namespace: "default", name: "out")
            try await cluster.eventually("the mirror goes") { try await addresses() == [] }
            // Endpoints without a service are somebody's own: left alone, and not mirrored.
            _ = try await client.create(.endpoints, FaultScenario.endpoints("own", address: "10.1.2.5"))
            try await cluster.world.clock.sleep(for: .seconds(30))
            _ = try await client.get(.endpoints, namespace: "default", name: "own")
        }
    }

    @Test func serviceAndPodsAreListedBothWays() throws {
        try simulate(.real, seed: 42, nodes: 1) { cluster in
            let client = cluster.client
            _ = try await client.create(
                .services, FaultScenario.service("web", selector: ["app": "web"]))
            try await cluster.eventually("empty endpoints are there") {
                (try? await client.get(.endpoints, namespace: "default", name: "web")) != nil
            }
            _ = try await client.create(.pods, FaultScenario.pod("web-1", app: "web"))
            try await cluster.eventually("both list the pod") {
                let endpoints = try await client.get(.endpoints, namespace: "default", name: "web")
                let slices = try await client.list(
                    .endpointSlices, namespace: "default", labelSelector: "kubernetes.io/service-name=web"
                ).list("items")
                return endpoints.list("subsets").first?.list("addresses").count == 1 && slices.count == 1
                    && slices.first?.list("endpoints").count == 1
            }
            _ = try await client.delete(.services, namespace: "default", name: "web")
            try await cluster.eventually("both go") {
                let slices = try await client.list(
                    .endpointSlices, namespace: "default", labelSelector: "kubernetes.io/service-name=web"
                ).list("items")
                let endpoints = try? await client.get(.endpoints, namespace: "default", name: "web")
                return slices.isEmpty && endpoints == nil
            }
        }
    }
}
