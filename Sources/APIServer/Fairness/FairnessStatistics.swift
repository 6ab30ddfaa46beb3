/// What priority and fairness counts, by flow schema.
struct FairnessStatistics: Sendable {
    /// A distribution in the cumulative form of Prometheus.
    struct Histogram: Sendable {
        let bounds: [Double]
        private(set) var counts: [Int]
        private(set) var sum = 0.0
        private(set) var count = 0

        init(_ bounds: [Double]) {
            self.bounds = bounds
            counts = Array(repeating: 0, count: bounds.count)
        }

        mutating func note(_ value: Double) {
            sum += value
            count += 1
            for index in bounds.indices where value <= bounds[index] {
                counts[index] += 1
                return
            }
        }
    }

    struct Schema: Sendable {
        var name: String
        var level: String
        var dispatched = 0
        var rejected: [String: Int] = [:]
        var waited = Histogram(FairnessStatistics.waits)
        var waitedInVain = Histogram(FairnessStatistics.waits)
        var executed = Histogram(FairnessStatistics.executions)
        var seats = Histogram([1, 2, 4, 10])
    }

    private static let waits: [Double] = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30]
    private static let executions: [Double] = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30]

    private(set) var schemas: [Schema] = []
    private var places: [String: Int] = [:]

    /// The place of a schema's counts, which it keeps for good.
    mutating func place(schema: String, level: String) -> Int {
        let key = schema + "\u{0}" + level
        if let place = places[key] { return place }
        places[key] = schemas.count
        schemas.append(Schema(name: schema, level: level))
        return schemas.count - 1
    }

    mutating func estimated(_ work: WorkEstimate, _ place: Int) { schemas[place].seats.note(Double(work.most)) }

    mutating func finished(_ place: Int, _ running: FairQueues.Running, now: Double) {
        schemas[place].dispatched += 1
        schemas[place].waited.note(running.waited)
        schemas[place].executed.note(now - running.started)
    }

    mutating func rejected(_ place: Int, _ why: FairQueues.Rejection, waited: Double?) {
        schemas[place].rejected[why.rawValue, default: 0] += 1
        if let waited { schemas[place].waitedInVain.note(waited) }
    }
}

extension Fairness {
    /// The metrics of priority and fairness in the form of Prometheus.
    func exposition() -> String {
        let (statistics, dispatcher) = state.withLock { ($0.statistics, $0.dispatcher) }
        var text = MetricsText(prefix: "apiserver_flowcontrol_")
        let levels = dispatcher.levels.compactMap { $0 }.sorted { $0.settings.name < $1.settings.name }
        Self.levelMetrics(levels, &text)
        text.header(
            "seat_fair_frac", "Fair fraction of server's concurrency to allocate to each priority level", "gauge")
        text.line("seat_fair_frac", [], dispatcher.proportion)
        Self.schemaMetrics(statistics.schemas.sorted { ($0.level, $0.name) < ($1.level, $1.name) }, dispatcher, &text)
        return text.text
    }

    private static func levelMetrics(_ levels: [FairDispatcher.Level], _ text: inout MetricsText) {
        let gauges: [(String, String, (FairDispatcher.Level) -> Double)] = [
            ("nominal_limit_seats", "Nominal number of execution seats of the level", { Double($0.limits.nominal) }),
            ("lower_limit_seats", "Lower bound on the seats of the level", { Double($0.limits.low) }),
            ("upper_limit_seats", "Upper bound on the seats of the level", { Double($0.limits.high) }),
            ("current_limit_seats", "Seats that the level has at present", { Double($0.limits.current) }),
            ("current_executing_seats", "Seats in use in the level", { Double($0.queues.seatsInUse) }),
            ("current_inqueue_seats", "Seats that waiting requests need", { Double($0.queues.waitingSeats) }),
            ("current_r", "Virtual time of the level", { $0.queues.virtualTime }),
            ("demand_seats_high_watermark", "Highest demand of the last period", { $0.statistics.highest }),
            ("demand_seats_average", "Average demand of the last period", { $0.statistics.average }),
            ("demand_seats_stdev", "Deviation of the demand of the last period", { $0.statistics.deviation }),
            ("demand_seats_smoothed", "Smoothed demand of the level", { $0.statistics.smoothed }),
            ("target_seats", "Seats that the last adjustment aimed at", { $0.target }),
        ]
        for (name, help, value) in gauges {
            text.header(name, help, "gauge")
            for level in levels { text.line(name, [("priority_level", level.settings.name)], value(level)) }
        }
    }

    private static func schemaMetrics(
        _ schemas: [FairnessStatistics.Schema], _ dispatcher: FairDispatcher, _ text: inout MetricsText
    ) {
        func labels(_ schema: FairnessStatistics.Schema) -> [(String, String)] {
            [("flow_schema", schema.name), ("priority_level", schema.level)]
        }
        text.header("dispatched_requests_total", "Requests that were carried out", "counter")
        for schema in schemas { text.line("dispatched_requests_total", labels(schema), Double(schema.dispatched)) }
        text.header("rejected_requests_total", "Requests that were turned away", "counter")
        for schema in schemas {
            for (reason, count) in schema.rejected.sorted(by: { $0.key < $1.key }) {
                text.line("rejected_requests_total", labels(schema) + [("reason", reason)], Double(count))
            }
        }
        text.header("current_executing_requests", "Requests that are carried out", "gauge")
        text.header("current_inqueue_requests", "Requests that wait", "gauge")
        for level in dispatcher.levels.compactMap({ $0 }).sorted(by: { $0.settings.name < $1.settings.name }) {
            let name = [("priority_level", level.settings.name)]
            text.line("current_executing_requests", name, Double(level.queues.executing))
            text.line("current_inqueue_requests", name, Double(level.queues.waiting))
        }
        text.header("request_wait_duration_seconds", "Time that requests waited", "histogram")
        for schema in schemas {
            text.histogram(
                "request_wait_duration_seconds", [("execute", "true")] + labels(schema), schema.waited)
            text.histogram(
                "request_wait_duration_seconds", [("execute", "false")] + labels(schema), schema.waitedInVain)
        }
        text.header("request_execution_seconds", "Time that requests took", "histogram")
        for schema in schemas { text.histogram("request_execution_seconds", labels(schema), schema.executed) }
        text.header("work_estimated_seats", "Seats that requests were given", "histogram")
        for schema in schemas { text.histogram("work_estimated_seats", labels(schema), schema.seats) }
    }
}

/// Metrics in the text form of Prometheus.
struct MetricsText {
    private let prefix: String
    private(set) var text = ""

    init(prefix: String) { self.prefix = prefix }

    mutating func header(_ name: String, _ help: String, _ type: String) {
        text += "# HELP \(prefix)\(name) \(help)\n# TYPE \(prefix)\(name) \(type)\n"
    }

    mutating func line(_ name: String, _ labels: [(String, String)], _ value: Double) {
        let pairs = labels.map { "\($0.0)=\"\($0.1)\"" }.joined(separator: ",")
        text += "\(prefix)\(name)\(pairs.isEmpty ? "" : "{\(pairs)}") \(Self.shown(value))\n"
    }

    mutating func histogram(
        _ name: String, _ labels: [(String, String)], _ histogram: FairnessStatistics.Histogram
    ) {
        if histogram.count == 0 { return }
        var sum = 0
        for (bound, count) in zip(histogram.bounds, histogram.counts) {
            sum += count
            line(name + "_bucket", labels + [("le", Self.shown(bound))], Double(sum))
        }
        line(name + "_bucket", labels + [("le", "+Inf")], Double(histogram.count))
        line(name + "_sum", labels, histogram.sum)
        line(name + "_count", labels, Double(histogram.count))
    }

    private static func shown(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(value)
    }
}
