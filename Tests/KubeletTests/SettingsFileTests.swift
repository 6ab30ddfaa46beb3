import Basics
import Document
import Testing

@testable import Kubelet

@Suite struct SettingsFileTests {
    private func apply(_ text: String) throws -> KubeletConfiguration {
        var configuration = KubeletConfiguration(nodeName: "n1", nodeIP: .loopback)
        configuration.cpuMillis = 4000
        configuration.memoryBytes = 4 << 30
        let head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
        try KubeletSettingsFile.apply(Array((head + text).utf8), to: &configuration)
        return configuration
    }

    @Test func settingsAreTaken() throws {
        let configuration = try apply(
            """
            maxPods: 5
            podPidsLimit: 100
            allowedUnsafeSysctls: [kernel.msg*]
            systemReserved: {cpu: 500m, memory: 512Mi}
            kubeReserved: {cpu: 500m}
            evictionHard: {memory.available: 512Mi, nodefs.available: "10%"}
            evictionSoft: {memory.available: 1Gi}
            evictionSoftGracePeriod: {memory.available: 1m30s}
            evictionPressureTransitionPeriod: 500ms
            containerLogMaxSize: 1Mi
            """)
        #expect(configuration.maxPods == 5 && configuration.podPidsLimit == 100)
        #expect(configuration.eviction.soft.first?.grace == .seconds(90))
        #expect(configuration.eviction.transition == .milliseconds(500))
        #expect(configuration.maximumLogBytes == 1 << 20)
        let limits = configuration.allocatable(Machine(configuration))
        #expect(limits["cpu"] == 3000)
        #expect(limits["memory"] == 3 << 30 * 1000)
        #expect(limits["pods"] == 5000)
    }

    @Test func theNodeShowsWhatIsLeft() throws {
        let configuration = try apply("systemReserved: {cpu: 500m}\nevictionHard: {}\n")
        let description = NodeDescription(configuration: configuration, machine: Machine(configuration))
        let previous: Document = ["capacity": ["example.com/dongle": "3"]]
        let status = description.status(
            problem: nil, pressure: [.memory], images: [], previous: previous, now: start)
        #expect(status.text("capacity", "cpu") == "4" && status.text("allocatable", "cpu") == "3500m")
        #expect(status.text("allocatable", "memory") == status.text("capacity", "memory"))
        #expect(status.text("allocatable", "example.com/dongle") == "3")
        let condition = status.condition("MemoryPressure")
        #expect(condition?.text("status") == "True" && condition?.text("reason") == "KubeletHasInsufficientMemory")
    }

    @Test(arguments: [
        "maxPods: many", "nonsense: 1", "evictionHard: {memory.available: lots}",
        "evictionSoft: {memory.available: 1Gi}",
        "evictionPressureTransitionPeriod: 5 minutes", "systemReserved: {cpu: x}", "[",
    ])
    func whatIsWrongIsSaid(_ text: String) { #expect(throws: KubeletSettingsFile.Problem.self) { try apply(text) } }
}
