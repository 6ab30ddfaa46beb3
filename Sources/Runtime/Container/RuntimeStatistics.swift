import Document
import Linux

/// What a group has used, in the shape that runc's `events` gives it.
public enum RuntimeStatistics {
    public static func data(_ group: Cgroup) throws -> Document {
        let reader = CgroupReader(group)
        var data: Document = ["cpu": cpu(reader), "memory": memory(reader)]
        data["pids"] = [
            "current": number(reader.number("pids", "pids.current")),
            "limit": number(reader.number("pids", "pids.max")),
        ]
        data["blkio"] = blockIO(reader)
        data["hugetlb"] = .emptyObject
        data["intel_rdt"] = .emptyObject
        data["network_interfaces"] = .null
        return data
    }

    private static func number(_ value: UInt64?) -> Document { Document(Int64(clamping: value ?? 0)) }

    private static func cpu(_ reader: CgroupReader) -> Document {
        if reader.isV2 {
            let stat = reader.table("cpu", "cpu.stat")
            func nanoseconds(_ key: String) -> Document { number(stat[key].map { $0 * 1_000 }) }
            return [
                "usage": [
                    "total": nanoseconds("usage_usec"), "kernel": nanoseconds("system_usec"),
                    "user": nanoseconds("user_usec"),
                ],
                "throttling": [
                    "periods": number(stat["nr_periods"]), "throttledPeriods": number(stat["nr_throttled"]),
                    "throttledTime": nanoseconds("throttled_usec"),
                ],
            ]
        }
        let stat = reader.table("cpu", "cpu.stat")
        // In hundredths of a second, whatever the kernel's own tick is.
        let ticks = reader.table("cpuacct", "cpuacct.stat")
        func nanoseconds(_ key: String) -> Document { number(ticks[key].map { $0 * 10_000_000 }) }
        return [
            "usage": [
                "total": number(reader.number("cpuacct", "cpuacct.usage")),
                "percpu": Document(reader.list("cpuacct", "cpuacct.usage_percpu").map { number($0) }),
                "kernel": nanoseconds("system"), "user": nanoseconds("user"),
            ],
            "throttling": [
                "periods": number(stat["nr_periods"]), "throttledPeriods": number(stat["nr_throttled"]),
                "throttledTime": number(stat["throttled_time"]),
            ],
        ]
    }

    private static func memory(_ reader: CgroupReader) -> Document {
        let stat = reader.table("memory", "memory.stat")
        let raw = Document(members: stat.sorted { $0.key < $1.key }.map { ($0.key, number($0.value)) })
        func usage(_ limit: String, _ now: String, _ most: String, _ failures: String) -> Document {
            [
                "limit": number(reader.number("memory", limit)), "usage": number(reader.number("memory", now)),
                "max": number(reader.number("memory", most)), "failcnt": number(reader.number("memory", failures)),
            ]
        }
        guard !reader.isV2 else {
            let events = reader.table("memory", "memory.events")
            var memory: Document = [
                "cache": number(stat["file"]), "usage": usage("memory.max", "memory.current", "memory.peak", ""),
                "swap": usage("memory.swap.max", "memory.swap.current", "memory.swap.peak", ""), "raw": raw,
            ]
            memory.set(number(events["max"]), at: "usage", "failcnt")
            return memory
        }
        func v1(_ name: String) -> Document {
            usage("\(name).limit_in_bytes", "\(name).usage_in_bytes", "\(name).max_usage_in_bytes", "\(name).failcnt")
        }
        return [
            "cache": number(stat["cache"]), "usage": v1("memory"), "swap": v1("memory.memsw"),
            "kernel": v1("memory.kmem"), "kernelTCP": v1("memory.kmem.tcp"), "raw": raw,
        ]
    }

    private static func blockIO(_ reader: CgroupReader) -> Document {
        var bytes: [Document] = []
        func add(_ device: Substring, _ operation: String, _ value: UInt64) {
            let numbers = device.split(separator: ":").compactMap { Int64($0) }
            guard numbers.count == 2 else { return }
            bytes.append([
                "major": Document(numbers[0]), "minor": Document(numbers[1]), "op": Document(operation),
                "value": number(value),
            ])
        }
        for line in reader.lines(
            reader.isV2 ? "io" : "blkio", reader.isV2 ? "io.stat" : "blkio.throttle.io_service_bytes")
        {
            let words = line.split(separator: " ")
            if !reader.isV2, words.count == 3, let value = UInt64(words[2]) { add(words[0], String(words[1]), value) }
            guard reader.isV2, let device = words.first else { continue }
            for (key, operation) in [("rbytes=", "Read"), ("wbytes=", "Write")] {
                if let word = words.first(where: { $0.hasPrefix(key) }), let value = UInt64(word.dropFirst(key.count)) {
                    add(device, operation, value)
                }
            }
        }
        return ["ioServiceBytesRecursive": Document(bytes)]
    }
}
