import Glibc
import Linux

/// The node's hardware and kernel, as far as the API asks for them.
struct Machine: Sendable {
    var cpuMillis: Int64
    var memoryBytes: Int64
    var storageBytes: Int64
    var kernelVersion: String
    var osImage: String
    var architecture: String
    var machineID: String
    var bootID: String

    init(_ configuration: KubeletConfiguration) {
        cpuMillis = configuration.cpuMillis ?? Int64(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) * 1000
        memoryBytes = configuration.memoryBytes ?? Self.physicalMemory
        storageBytes = Self.storage(below: configuration.rootDirectory)
        var name = utsname()
        uname(&name)
        kernelVersion = Self.text(name.release)
        architecture = Self.goArchitecture(Self.text(name.machine))
        osImage = Self.prettyName ?? "Linux"
        machineID = Self.line("/etc/machine-id")
        bootID = Self.line("/proc/sys/kernel/random/boot_id")
    }

    /// Size of the file system that the directory lies on, or will lie on.
    private static func storage(below directory: String) -> Int64 {
        var path = Substring(directory)
        var storage = statvfs()
        while statvfs(path.isEmpty ? "/" : String(path), &storage) != 0 {
            guard let slash = path.lastIndex(of: "/") else { return 0 }
            path = path[..<slash]
        }
        return Int64(storage.f_blocks) * Int64(storage.f_frsize)
    }

    private static var physicalMemory: Int64 {
        Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }

    private static func text<T>(_ field: T) -> String {
        withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private static func goArchitecture(_ machine: String) -> String {
        switch machine {
        case "x86_64": "amd64"
        case "aarch64": "arm64"
        default: machine
        }
    }

    private static var prettyName: String? {
        guard let text = try? Files.text("/etc/os-release") else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }
        return line.map { String($0.dropFirst("PRETTY_NAME=".count)).replacing("\"", with: "") }
    }

    private static func line(_ path: String) -> String {
        (try? Files.text(path)).map { String($0.prefix { $0 != "\n" }) } ?? ""
    }
}
