import Document
import Testing

@testable import Kubelet

@Suite struct PortAdmissionTests {
    private static func pod(_ port: Int, address: String? = nil, transport: String = "TCP") -> Document {
        var entry: Document = [
            "containerPort": 80, "hostPort": Document(port), "protocol": Document(transport),
        ]
        if let address { entry["hostIP"] = Document(address) }
        return ["spec": ["containers": [["name": "main", "ports": [entry]]]]]
    }

    @Test(arguments: [
        (pod(80), pod(80), true),
        (pod(80), pod(81), false),
        (pod(80), pod(80, transport: "UDP"), false),
        (pod(80, address: "127.0.0.1"), pod(80, address: "127.0.0.2"), false),
        (pod(80, address: "127.0.0.1"), pod(80), true),
        (pod(80, address: "0.0.0.0"), pod(80, address: "127.0.0.2"), true),
    ])
    func aPortOfTheNodeIsGivenOnce(first: Document, second: Document, isRefused: Bool) {
        let check = PodAdmission(
            nodeName: "n1", labels: [:], limits: Amounts(["pods": 110_000]), used: Amounts(), podCount: 1,
            pressure: [], sysctls: SysctlPolicy(), takenPorts: PodHostPort.all(of: first))
        let failure = check.refusal(second, Amounts(pod: second))
        let refusal = PodFailure(reason: "NodePorts", message: "Pod was rejected: Predicate NodePorts failed")
        #expect(failure == (isRefused ? refusal : nil))
    }
}
