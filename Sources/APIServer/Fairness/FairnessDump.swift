import Basics
import Wire

extension Fairness {
    /// What `/debug/api_priority_and_fairness/…` shows; nil where there is no such dump.
    func dump(_ name: String, _ query: Query) -> String? {
        let (dispatcher, details) = state.withLock { ($0.dispatcher, $0.details) }
        let levels = dispatcher.levels.compactMap { $0 }.sorted { $0.settings.name < $1.settings.name }
        switch name {
        case "dump_priority_levels": return Self.priorityLevels(levels)
        case "dump_queues": return Self.queues(levels)
        case "dump_requests":
            return Self.requests(levels, details, withDetails: !(query["includeRequestDetails"] ?? "").isEmpty)
        default: return nil
        }
    }

    private static func priorityLevels(_ levels: [FairDispatcher.Level]) -> String {
        var rows = [
            [
                "PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests",
            ]
        ]
        for level in levels {
            rows.append([
                level.settings.name, String(level.queues.queues.filter { !$0.waiting.isEmpty }.count),
                String(level.queues.isIdle), String(level.isQuiescing), String(level.queues.waiting),
                String(level.queues.executing),
            ])
        }
        return table(rows)
    }

    private static func queues(_ levels: [FairDispatcher.Level]) -> String {
        var rows = [
            [
                "PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR",
                "InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum",
            ]
        ]
        for level in levels {
            for (index, queue) in level.queues.queues.enumerated() {
                let initial = queue.waiting.reduce(0) { $0 + $1.work.seats }
                let work = queue.waiting.reduce(0.0) { $0 + Double($1.work.lingering) * $1.work.lingeringTime }
                rows.append([
                    level.settings.name, String(index), String(queue.waiting.count), String(queue.executing),
                    String(queue.seatsInUse), seatSeconds(queue.nextStart), String(initial),
                    String(queue.waitingSeats), seatSeconds(work),
                ])
            }
        }
        return table(rows)
    }

    private static func requests(
        _ levels: [FairDispatcher.Level], _ details: [UInt64: WaitingRequest], withDetails: Bool
    ) -> String {
        var header = [
            "PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher", "ArriveTime",
            "InitialSeats", "FinalSeats", "AdditionalLatency",
        ]
        if withDetails {
            header += ["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"]
        }
        var rows = [header]
        for level in levels {
            for (index, queue) in level.queues.queues.enumerated() {
                for (place, waiting) in queue.waiting.enumerated() {
                    guard let request = details[waiting.id] else { continue }
                    var row = [
                        level.settings.name, request.schema, String(index), String(place), request.flow,
                        request.arrived.rfc3339(fractionDigits: 9), String(waiting.work.seats),
                        String(waiting.work.lingering),
                        "\(Int((waiting.work.lingeringTime * 1_000).rounded()))ms",
                    ]
                    if withDetails {
                        let info = request.info
                        row += [
                            request.user, info.verb, info.path, info.namespace, info.name,
                            info.group.isEmpty ? info.version : "\(info.group)/\(info.version)", info.resource,
                            info.subresource,
                        ]
                    }
                    rows.append(row)
                }
            }
        }
        return table(rows)
    }

    /// Eight digits behind the point, as upstream shows its unit.
    private static func seatSeconds(_ value: Double) -> String {
        let scaled = Int64((value * 1e8).rounded())
        let digits = String(scaled.magnitude)
        let padded = String(repeating: "0", count: max(0, 9 - digits.count)) + digits
        return "\(scaled < 0 ? "-" : "")\(padded.dropLast(8)).\(padded.suffix(8))ss"
    }

    /// Columns end with a comma and are as wide as their widest cell.
    private static func table(_ rows: [[String]]) -> String {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.dropLast().enumerated() {
                if column == widths.count { widths.append(8) }
                widths[column] = max(widths[column], cell.count + 2)
            }
        }
        return rows.map { row in
            row.enumerated().map { column, cell in
                guard column < row.count - 1 else { return cell + "\n" }
                return cell + "," + String(repeating: " ", count: max(1, widths[column] - cell.count - 1))
            }.joined()
        }.joined()
    }
}
