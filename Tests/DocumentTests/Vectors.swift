import Glibc

/// Published test data, in the folder that `LAB_VECTORS` names.
enum Vectors {
    static let folder: String? = getenv("LAB_VECTORS").map { String(cString: $0) }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    static func read(_ name: String) throws -> [UInt8] {
        let path = "\(folder ?? "")/\(name)"
        guard let file = fopen(path, "r") else { throw Failure(description: "cannot open \(path)") }
        defer { fclose(file) }
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return all }
            all += buffer[..<count]
        }
    }

    static func names(_ name: String) throws -> [String] {
        guard let directory = opendir("\(folder ?? "")/\(name)") else {
            throw Failure(description: "no folder \(name)")
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
}

/// The same numbers in every run (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
