import Glibc
import Images

/// The shape of an image reference: lower-case repository, and no blanks anywhere.
enum ImageReference {
    static func check(_ reference: String) throws -> String {
        let allowed = reference.utf8.allSatisfy { byte in
            switch byte {
            case 48...57, 65...90, 97...122: true
            case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "/"), UInt8(ascii: ":"),
                UInt8(ascii: "@"), UInt8(ascii: "["), UInt8(ascii: "]"):
                true
            default: false
            }
        }
        let parts = reference.split(separator: "/", omittingEmptySubsequences: false)
        // Only a registry's name, the first of several parts, and tags may have capitals.
        let last = parts.last?.prefix { $0 != ":" && $0 != "@" } ?? ""
        let middle = parts.dropFirst().dropLast()
        let isLower = (middle + [last]).allSatisfy { $0.utf8.allSatisfy { !(65...90).contains($0) } }
        guard allowed, isLower, !parts.contains(where: \.isEmpty), !last.isEmpty, !reference.hasSuffix(":") else {
            throw StartProblem(
                reason: "InvalidImageName",
                message: "couldn't parse image name \"\(reference)\": invalid reference format")
        }
        return reference
    }
}

enum Signals {
    private static let numbers: [String: Int32] = [
        "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10,
        "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CONT": 18, "STOP": 19,
        "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28,
        "POLL": 29, "PWR": 30, "SYS": 31,
    ]

    /// `SIGQUIT`, `QUIT`, `3`, `SIGRTMIN+3`.
    static func number(_ text: String) -> Int32? {
        if let number = Int32(text) { return (1...64).contains(number) ? number : nil }
        let upper = text.uppercased()
        let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        if name.hasPrefix("RTMIN") { return 34 + (Int32(name.dropFirst(5).drop { $0 == "+" }) ?? 0) }
        if name.hasPrefix("RTMAX") { return 64 + (Int32(name.dropFirst(5)) ?? 0) }
        return numbers[name]
    }
}
