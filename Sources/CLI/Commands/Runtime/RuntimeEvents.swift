import CLinux
import Cluster
import Document
import Glibc
import Linux
import Runtime

/// `events`: what a container uses, again and again until it ends, and that it ran out of memory.
enum RuntimeEvents {
    static func run(_ context: RuntimeProgram.Context) throws {
        let container = try context.store.load(context.id)
        guard container.status() != .stopped else {
            throw ContainerError("container with id \(container.id) is not running")
        }
        let group = try container.group()
        if context.arguments.has("stats") {
            try show("stats", container.id, RuntimeStatistics.data(group))
            return
        }
        let interval = try Duration.parse(context.arguments["interval"] ?? "5s")
        guard interval > .zero else { throw UsageError("duration interval must be greater than 0", remedy: "") }
        let process = Descriptor(lab_pidfd_open(container.record.process.pid))
        guard process.number >= 0 else { throw ContainerError("container with id \(container.id) is not running") }
        var kills = try group.usage().outOfMemoryKills
        let milliseconds = Int32(
            clamping: interval.components.seconds * 1_000 + interval.components.attoseconds / 1_000_000_000_000_000)
        while true {
            var ended = pollfd(fd: process.number, events: Int16(POLLIN), revents: 0)
            let result = poll(&ended, 1, milliseconds)
            if result < 0, errno == EINTR { continue }
            // The group may go with the container at any time.
            guard let usage = try? group.usage() else { return }
            if usage.outOfMemoryKills > kills { try show("oom", container.id, nil) }
            kills = usage.outOfMemoryKills
            if result != 0 { return }
            try show("stats", container.id, RuntimeStatistics.data(group))
        }
    }

    private static func show(_ type: String, _ id: String, _ data: Document?) throws {
        var event: Document = ["type": Document(type), "id": Document(id)]
        if let data { event["data"] = data }
        Console.line(event.jsonText)
    }
}
