import Glibc
import Synchronization

extension CEL {
    /// The parts of timestamps and durations.
    enum TimeFunctions {
        static func add(to table: inout FunctionTable) {
            let parts: [(String, @Sendable (Calendar.Parts) -> Int)] = [
                ("getFullYear", { $0.year }), ("getMonth", { $0.month - 1 }), ("getDayOfYear", { $0.dayOfYear }),
                ("getDayOfMonth", { $0.day - 1 }), ("getDate", { $0.day }), ("getDayOfWeek", { $0.weekday }),
                ("getHours", { $0.hour }), ("getMinutes", { $0.minute }), ("getSeconds", { $0.second }),
            ]
            let units: [String: Int64] = [
                "getHours": 3_600_000_000_000, "getMinutes": 60_000_000_000, "getSeconds": 1_000_000_000,
            ]
            for (name, part) in parts {
                let unit = units[name]
                table[name] = { (a) throws(Failure) in
                    if a.count == 1, case .duration(let nanos) = a[0], let unit { return .int(nanos / unit) }
                    return .int(Int64(part(Calendar.Parts(try local(name, a).seconds))))
                }
            }
            table["getMilliseconds"] = { (a) throws(Failure) in
                if a.count == 1, case .duration(let nanos) = a[0] { return .int(nanos / 1_000_000 % 1000) }
                return .int(Int64(try local("getMilliseconds", a).nanos / 1_000_000))
            }
        }

        /// The instant's seconds as a clock of the zone shows them.
        private static func local(_ name: String, _ a: [Value]) throws(Failure) -> (seconds: Int64, nanos: Int32) {
            guard case .timestamp(let instant) = a.first else { throw .noSuchOverload(name, a) }
            if a.count == 1 { return (instant.seconds, instant.nanos) }
            guard a.count == 2, case .string(let zone) = a[1] else { throw .noSuchOverload(name, a) }
            guard let offset = TimeZones.offset(zone, at: instant.seconds) else {
                throw Failure("unknown time zone \(zone)")
            }
            return (instant.seconds + Int64(offset), instant.nanos)
        }
    }

    /// How far clocks of a zone are from UTC. Named zones come from the machine's zone files (RFC 8536).
    enum TimeZones {
        private static let known = Mutex<[String: [UInt8]]>([:])
        /// Names come from users: no more of them are kept than this.
        private static let mostKnown = 64

        static func offset(_ zone: String, at seconds: Int64) -> Int? {
            if zone == "UTC" || zone.isEmpty { return 0 }
            if let fixed = fixed(zone) { return fixed }
            guard let file = file(zone) else { return nil }
            return offset(file, at: seconds)
        }

        /// `+02:00`, `-2:30`, `02:00`.
        private static func fixed(_ text: String) -> Int? {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let hours = Int(parts[0]), let minutes = Int(parts[1]), (-23...23).contains(hours),
                (0..<60).contains(minutes)
            else { return nil }
            let sign = text.hasPrefix("-") ? -1 : 1
            return hours * 3600 + sign * minutes * 60
        }

        private static func file(_ zone: String) -> [UInt8]? {
            guard zone.utf8.allSatisfy({ Formats.isAlphanumeric($0) || "/_+-".utf8.contains($0) }), !zone.hasPrefix("/")
            else { return nil }
            return known.withLock { known in
                if let bytes = known[zone] { return bytes }
                guard let opened = fopen("/usr/share/zoneinfo/\(zone)", "r") else { return nil }
                defer { fclose(opened) }
                var buffer = [UInt8](repeating: 0, count: 65_536)
                let count = fread(&buffer, 1, buffer.count, opened)
                let bytes = Array(buffer[..<count])
                if known.count < mostKnown { known[zone] = bytes }
                return bytes
            }
        }

        /// The second block of the file holds its transitions in 64 bits: counts, times, then which rule each begins.
        private static func offset(_ file: [UInt8], at seconds: Int64) -> Int? {
            func number(_ at: Int, _ count: Int) -> Int64? {
                guard at >= 0, at + count <= file.count else { return nil }
                let value = file[at..<(at + count)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                return count == 8 ? Int64(bitPattern: value) : Int64(Int32(truncatingIfNeeded: value))
            }
            func counts(_ at: Int) -> [Int]? {
                guard file.count >= at + 44, file[at..<(at + 4)].elementsEqual("TZif".utf8) else { return nil }
                return (0..<6).compactMap { number(at + 20 + 4 * $0, 4).map(Int.init) }
            }
            guard let first = counts(0), first.count == 6 else { return nil }
            let skipped = 44 + first[3] * 5 + first[4] * 6 + first[5] + first[2] * 8 + first[1] + first[0]
            guard let header = counts(skipped), header.count == 6 else { return nil }
            let times = skipped + 44
            let rules = times + header[3] * 8
            let types = rules + header[3]
            var rule = 0
            for index in 0..<header[3] {
                guard let time = number(times + 8 * index, 8), time <= seconds else { break }
                rule = Int(file[rules + index])
            }
            return number(types + 6 * rule, 4).map(Int.init)
        }
    }
}
