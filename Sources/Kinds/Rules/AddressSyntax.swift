import Basics
import Document
import Schema

/// The syntax of addresses and ranges, with the reasons that clients are told.
///
/// Old fields take every address that can be read without doubt; names and new fields take the shortest form only.
/// Each check gives the first thing that is wrong.
enum AddressSyntax {
    static func address(_ text: String, canonical: Bool = false) -> String? {
        guard let address = IPAddress(text) else {
            return IPAddress(withoutLeadingZeros(text)) == nil
                ? "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)" : "must not have leading 0s"
        }
        if isMapped(address) { return "must not be an IPv4-mapped IPv6 address" }
        if canonical, address.description != text {
            return "must be in canonical form (\(quoted(address.description)))"
        }
        return nil
    }

    static func range(_ text: String, canonical: Bool = false) -> String? {
        guard let range = CIDR(text) else {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, let length = Int(parts[1]),
                CIDR("\(withoutLeadingZeros(parts[0]))/\(length)") != nil
            else { return "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)" }
            return "must not have leading 0s in IP or prefix length"
        }
        if isMapped(range.base) { return "must not have an IPv4-mapped IPv6 address" }
        let host = text.split(separator: "/").first.flatMap { IPAddress($0) }
        if host != range.base { return "must not have bits set beyond the prefix length" }
        if canonical, range.description != text { return "must be in canonical form (\(quoted(range.description)))" }
        return nil
    }

    static func addressErrors(_ text: String, _ path: String, canonical: Bool = false) -> [FieldError] {
        address(text, canonical: canonical).map { [.invalid(path, Document(text), $0)] } ?? []
    }

    static func rangeErrors(_ text: String, _ path: String, canonical: Bool = false) -> [FieldError] {
        range(text, canonical: canonical).map { [.invalid(path, Document(text), $0)] } ?? []
    }

    /// `::ffff:0:0/96`: IPv4 in the clothes of IPv6, which programs read differently.
    private static func isMapped(_ address: IPAddress) -> Bool {
        address.isIPv6 && address.high == 0 && address.low >> 32 == 0xffff
    }

    /// Dotted numbers as sloppy readers take them.
    private static func withoutLeadingZeros(_ text: String) -> String {
        guard !text.contains(":") else { return text }
        return text.split(separator: ".", omittingEmptySubsequences: false).map { part in
            let bare = part.drop { $0 == "0" }
            return bare.isEmpty && !part.isEmpty ? "0" : String(bare)
        }.joined(separator: ".")
    }

    private static func quoted(_ text: String) -> String { Document(text).jsonText }
}
