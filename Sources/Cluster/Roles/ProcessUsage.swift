import APIServer
import Glibc
import Linux

/// What this process uses of its machine, read from /proc.
enum ProcessUsage {
    static func statistics() -> ProcessStatistics? {
        // /proc/self/stat: the name stands in brackets and may hold blanks, so the fields are counted behind it.
        guard let line = try? Files.text("/proc/self/stat"), let bracket = line.lastIndex(of: ")"),
            let boot = bootTime()
        else { return nil }
        let fields = line[line.index(after: bracket)...].split(separator: " ")
        func field(_ number: Int) -> Double { number - 3 < fields.count ? Double(fields[number - 3]) ?? 0 : 0 }
        let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        var files = rlimit()
        let hasLimit = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0
        return ProcessStatistics(
            cpuSeconds: (field(14) + field(15)) / ticks, residentBytes: Int(field(24)) * Int(getpagesize()),
            virtualBytes: Int(field(23)), openFiles: (try? Files.list("/proc/self/fd").count) ?? 0,
            mostFiles: hasLimit ? Int(clamping: files.rlim_cur) : 0, started: boot + field(22) / ticks)
    }

    /// Seconds from 1970 to the machine's start.
    private static func bootTime() -> Double? {
        guard let text = try? Files.text("/proc/stat") else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix("btime ") {
            return Double(line.dropFirst("btime ".count))
        }
        return nil
    }
}
