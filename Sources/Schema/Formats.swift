import Basics

/// The syntaxes of names and values, with the texts that Kubernetes answers. Each check gives every reason why the
/// text is wrong, none when it is right.
public enum Formats {
    /// The formats that the schema language can name.
    public static func check(_ text: String, as format: String) -> [String] {
        switch format {
        case "dns-label": dnsLabel(text)
        case "dns-subdomain": dnsSubdomain(text)
        case "qualified-name": qualifiedName(text)
        case "label-value": labelValue(text)
        case "config-key": configKey(text)
        case "path-segment": pathSegment(text)
        case "ip": ip(text)
        default: []
        }
    }

    public static let names: Set = [
        "dns-label", "dns-subdomain", "qualified-name", "label-value", "config-key", "path-segment", "ip",
    ]

    private static let labelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

    public static func dnsLabel(_ text: String) -> [String] {
        if text.contains("."), dnsSubdomain(text).isEmpty { return ["must not contain dots"] }
        var errors = longerThan(63, text)
        if !isLabel(text.utf8) {
            errors.append(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
                    + "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
                    + "'\(labelPattern)')")
        }
        return errors
    }

    public static func dnsSubdomain(_ text: String) -> [String] {
        var errors = longerThan(253, text)
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        if !parts.allSatisfy({ isLabel($0) }) {
            errors.append(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
                    + "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
                    + "'\(labelPattern)(\\.\(labelPattern))*')")
        }
        return errors
    }

    /// A label in the older form, which starts with a letter.
    public static func rfc1035Label(_ text: String) -> [String] {
        var errors = longerThan(63, text)
        let startsWithLetter = text.utf8.first.map { (97...122).contains($0) } ?? false
        if !startsWithLetter || !isLabel(text.utf8) {
            errors.append(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
                    + "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
                    + "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')")
        }
        return errors
    }

    /// A host name inside a cluster's DNS search list: a subdomain whose parts may hold underscores.
    public static func dnsSubdomainWithUnderscore(_ text: String) -> [String] {
        var errors = longerThan(253, text)
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let valid = parts.allSatisfy { part in
            let rest = part.first == UInt8(ascii: "_") ? part.dropFirst() : part
            guard let first = rest.first, let last = rest.last, isLower(first), isLower(last) else { return false }
            return rest.allSatisfy { isLower($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
        }
        if !valid {
            let part = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
            errors.append(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and "
                    + "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
                    + "'\(part)(\\.\(part))*')")
        }
        return errors
    }

    /// A key of labels, annotations, taints and the like: `[prefix/]name`.
    public static func qualifiedName(_ text: String) -> [String] {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        var errors: [String] = []
        var name = text
        switch parts.count {
        case 1: break
        case 2:
            name = String(parts[1])
            if parts[0].isEmpty {
                errors.append("prefix part must be non-empty")
            } else {
                errors += dnsSubdomain(String(parts[0])).map { "prefix part " + $0 }
            }
        default:
            return [
                "a valid label key \(namePartText) with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ]
        }
        if name.isEmpty {
            errors.append("name part must be non-empty")
        } else if name.utf8.count > 63 {
            errors.append("name part must be no more than 63 bytes")
        }
        if !isNamePart(name.utf8) { errors.append("name part \(namePartText)") }
        return errors
    }

    private static let namePartText =
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
        + "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
        + "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

    public static func labelValue(_ text: String) -> [String] {
        var errors = text.utf8.count > 63 ? ["must be no more than 63 bytes"] : []
        if !text.isEmpty, !isNamePart(text.utf8) {
            errors.append(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
                    + "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex "
                    + "used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')")
        }
        return errors
    }

    /// A key of a ConfigMap or Secret, which becomes a file name.
    public static func configKey(_ text: String) -> [String] {
        var errors = longerThan(253, text)
        let valid = !text.isEmpty && text.utf8.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
        if !valid {
            errors.append(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
                    + "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')")
        }
        if text == "." { errors.append("must not be '.'") }
        if text == ".." {
            errors.append("must not be '..'")
        } else if text.hasPrefix("..") {
            errors.append("must not start with '..'")
        }
        return errors
    }

    /// A name that only has to fit into a URL's path.
    public static func pathSegment(_ text: String) -> [String] {
        if text == "." || text == ".." { return ["may not be '\(text)'"] }
        var errors: [String] = []
        for symbol in ["/", "%"] where text.contains(symbol) { errors.append("may not contain '\(symbol)'") }
        return errors
    }

    /// The name of a container's port.
    public static func portName(_ text: String) -> [String] {
        var errors: [String] = []
        let bytes = Array(text.utf8)
        if bytes.count > 15 { errors.append("must be no more than 15 characters") }
        if !bytes.allSatisfy({ isLower($0) || $0 == UInt8(ascii: "-") }) {
            errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
        }
        if !bytes.contains(where: { $0 >= 97 && $0 <= 122 }) { errors.append("must contain at least one letter (a-z)") }
        if text.contains("--") { errors.append("must not contain consecutive hyphens") }
        if bytes.first == UInt8(ascii: "-") || bytes.last == UInt8(ascii: "-") {
            errors.append("must not begin or end with a hyphen")
        }
        return errors
    }

    public static func httpHeaderName(_ text: String) -> [String] {
        if !text.isEmpty, text.utf8.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "-") }) { return [] }
        return [
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
                + "validation is '[-A-Za-z0-9]+')"
        ]
    }

    public static func port(_ number: Int) -> [String] {
        (1...65_535).contains(number) ? [] : ["must be between 1 and 65535, inclusive"]
    }

    public static func ip(_ text: String) -> [String] {
        IPAddress(text) == nil ? ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"] : []
    }

    public static func isTime(_ text: String) -> Bool { Timestamp(rfc3339: text) != nil }

    // MARK: Characters

    private static func longerThan(_ limit: Int, _ text: String) -> [String] {
        text.utf8.count > limit ? ["must be no more than \(limit) characters"] : []
    }

    static func isLower(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (48...57).contains(byte) }
    static func isAlphanumeric(_ byte: UInt8) -> Bool { isLower(byte) || (65...90).contains(byte) }

    private static func isLabel(_ bytes: some BidirectionalCollection<UInt8>) -> Bool {
        guard let first = bytes.first, let last = bytes.last, isLower(first), isLower(last) else { return false }
        return bytes.allSatisfy { isLower($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isNamePart(_ bytes: some BidirectionalCollection<UInt8>) -> Bool {
        guard let first = bytes.first, let last = bytes.last, isAlphanumeric(first), isAlphanumeric(last) else {
            return false
        }
        return bytes.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }
}
