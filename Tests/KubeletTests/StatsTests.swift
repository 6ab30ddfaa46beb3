import Basics
import Document
import Testing

@testable import Kubelet

struct StatsTests {
    private static func usage(_ cpu: Int64, _ memory: Int64, rate: Int64? = nil) -> NodeStats.Usage {
        .init(memoryBytes: memory, workingSetBytes: memory / 2, cpuNanoseconds: cpu, nanoCores: rate, pids: 3)
    }

    private static let stats = NodeStats(
        time: start, nodeName: "n1", usage: usage(9_000_000_000, 1000), memoryCapacity: 4000,
        interfaces: [], fileSystem: .init(capacity: 100, available: 40, used: 50, inodes: 10, inodesFree: 4),
        pods: [
            .init(
                name: "web", namespace: "shop", uid: "u", startedAt: start, usage: usage(2_500_000_000, 500),
                containers: [
                    .init(name: "main", startedAt: start, usage: usage(1_500_000_000, 400, rate: 7), logBytes: 12)
                ],
                interfaces: [
                    .init(name: "eth0", receivedBytes: 5, receiveErrors: 0, sentBytes: 6, sendErrors: 1)
                ])
        ])

    @Test func theSummaryHasNodePodsAndContainers() {
        let summary = Self.stats.summary
        #expect(summary.number("node", "memory", "availableBytes") == 3500)
        #expect(summary.number("node", "fs", "inodesUsed") == 6)
        let pod = summary.list("pods").first ?? .null
        #expect(pod.at("podRef") == ["name": "web", "namespace": "shop", "uid": "u"])
        #expect(pod.number("network", "txErrors") == 1 && pod.number("process_stats", "process_count") == 3)
        #expect(pod.number("cpu", "usageCoreNanoSeconds") == 2_500_000_000)
        #expect(pod.at("cpu", "usageNanoCores") == nil)
        let container = pod.list("containers").first ?? .null
        #expect(container.number("cpu", "usageNanoCores") == 7 && container.number("memory", "workingSetBytes") == 200)
        #expect(container.number("logs", "usedBytes") == 12)
    }

    @Test func metricsHaveTheirLabelsAndTimes() {
        let text = Self.stats.resourceMetrics
        let wanted = [
            "container_cpu_usage_seconds_total{container=\"main\",namespace=\"shop\",pod=\"web\"} 1.5 1800000000000",
            "container_start_time_seconds{container=\"main\",namespace=\"shop\",pod=\"web\"} 1800000000.0 1800000000000",
            "node_cpu_usage_seconds_total 9.0 1800000000000", "# TYPE node_memory_working_set_bytes gauge",
            "pod_memory_working_set_bytes{namespace=\"shop\",pod=\"web\"} 250 1800000000000", "resource_scrape_error 0",
        ]
        let lines = Set(text.split(separator: "\n").map(String.init))
        for line in wanted { #expect(lines.contains(line), "\(line)") }
        #expect(
            Self.stats.containerMetrics.contains(
                "container_network_receive_bytes_total{interface=\"eth0\",namespace=\"shop\",pod=\"web\"} 5 "))
    }

    @Test func ratesNeedAnEarlierLook() {
        let rates = UsageRates()
        #expect(rates.nanoCores("a", 1_000_000_000, at(0)) == nil)
        #expect(rates.nanoCores("a", 2_000_000_000, at(2)) == 500_000_000)
        // Too soon to say anything new, and a counter that began again.
        #expect(rates.nanoCores("a", 2_100_000_000, at(2) + .milliseconds(100)) == 500_000_000)
        #expect(rates.nanoCores("a", 5, at(9)) == nil)
        rates.forget(before: at(10))
        #expect(rates.nanoCores("a", 10, at(20)) == nil)
    }

    @Test func interfacesAreRead() {
        let text = """
            Inter-|   Receive                                                |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
                lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0
              eth0:    2000      20    1    0    0     0          0         0     3000      30    2    0    0     0
            """
        #expect(
            NodeStats.Interface.read(text) == [
                .init(name: "eth0", receivedBytes: 2000, receiveErrors: 1, sentBytes: 3000, sendErrors: 2)
            ])
    }
}
