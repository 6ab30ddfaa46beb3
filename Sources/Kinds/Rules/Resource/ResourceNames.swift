import Document
import Schema

/// The names that devices, their drivers, pools and attributes have.
enum ResourceNames {
    static func driver(_ name: String, _ path: String) -> [FieldError] {
        if name.isEmpty { return [.required(path)] }
        var errors: [FieldError] = name.utf8.count > 63 ? [.tooLong(path, limit: 63)] : []
        errors += Formats.dnsSubdomain(name.lowercased()).map { .invalid(path, Document(name), $0) }
        return errors
    }

    static func pool(_ name: String, _ path: String) -> [FieldError] {
        if name.isEmpty { return [.required(path)] }
        var errors: [FieldError] = name.utf8.count > 253 ? [.tooLong(path, limit: 253)] : []
        for part in name.split(separator: "/", omittingEmptySubsequences: false) {
            errors += Formats.dnsSubdomain(String(part)).map { .invalid(path, Document(part), $0) }
        }
        return errors
    }

    static func label(_ name: String, _ path: String) -> [FieldError] {
        Formats.dnsLabel(name).map { .invalid(path, Document(name), $0) }
    }

    static func deviceClass(_ name: String, _ path: String) -> [FieldError] {
        if name.isEmpty { return [.required(path)] }
        return Formats.dnsSubdomain(name).map { .invalid(path, Document(name), $0) }
    }

    /// A C identifier, with the domain that defines it in front or without.
    static func qualified(_ name: String, _ path: String) -> [FieldError] {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        switch parts.count {
        case 1: return identifier(name, path)
        case 2:
            var errors: [FieldError] =
                parts[0].isEmpty ? [.invalid(path, "", "the domain must not be empty")] : driver(parts[0], path)
            errors +=
                parts[1].isEmpty ? [.invalid(path, "", "the name must not be empty")] : identifier(parts[1], path)
            return errors
        default: return [.invalid(path, Document(name), "must not contain more than one slash")]
        }
    }

    static func fullyQualified(_ name: String, _ path: String) -> [FieldError] {
        var errors = qualified(name, path)
        if !name.contains("/") {
            errors.append(
                .invalid(
                    path, Document(name), "a fully qualified name must be a domain and a name separated by a slash"))
        }
        return errors
    }

    private static func identifier(_ name: String, _ path: String) -> [FieldError] {
        var errors: [FieldError] = name.utf8.count > 32 ? [.tooLong(path, limit: 32)] : []
        func isLetter(_ byte: UInt8) -> Bool {
            (65...90).contains(byte) || (97...122).contains(byte) || byte == UInt8(ascii: "_")
        }
        let bytes = Array(name.utf8)
        let isValid =
            bytes.first.map(isLetter) == true && bytes.allSatisfy { isLetter($0) || (48...57).contains($0) }
        if !isValid {
            errors.append(
                .invalid(
                    path, Document(name),
                    "a valid C identifier must start with alphabetic character or '_', followed by a string of "
                        + "alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for "
                        + "validation is '[A-Za-z_][A-Za-z0-9_]*')"))
        }
        return errors
    }

    static func uid(_ text: String, _ path: String) -> [FieldError] {
        func isHex(_ byte: UInt8) -> Bool {
            (48...57).contains(byte) || (65...70).contains(byte) || (97...102).contains(byte)
        }
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else {
            return [.invalid(path, Document(text), "error validating uid: invalid UUID length: \(bytes.count)")]
        }
        let dashes = [8, 13, 18, 23]
        let isValid = bytes.enumerated().allSatisfy { index, byte in
            dashes.contains(index) ? byte == UInt8(ascii: "-") : isHex(byte)
        }
        if !isValid { return [.invalid(path, Document(text), "error validating uid: invalid UUID format")] }
        if text != text.lowercased() {
            return [
                .invalid(
                    path, Document(text),
                    "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase "
                        + "hexadecimal characters")
            ]
        }
        return []
    }

    static func isExtendedResource(_ name: String) -> Bool {
        name.contains("/") && !name.contains("kubernetes.io/") && !name.hasPrefix("requests.")
            && Formats.qualifiedName("requests." + name).isEmpty
    }

    /// major.minor.patch with pre-release and build identifiers, as semver.org has it.
    static func isSemanticVersion(_ text: String) -> Bool {
        let halves = text.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
        let front = (halves.first ?? "").split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        func isNumber(_ part: Substring) -> Bool {
            !part.isEmpty && part.utf8.allSatisfy { (48...57).contains($0) } && (part == "0" || part.first != "0")
        }
        func isIdentifier(_ part: Substring) -> Bool {
            !part.isEmpty
                && part.utf8.allSatisfy {
                    (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
                        || $0 == UInt8(ascii: "-")
                }
        }
        let numbers = (front.first ?? "").split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count == 3, numbers.allSatisfy(isNumber) else { return false }
        if front.count == 2 {
            let parts = front[1].split(separator: ".", omittingEmptySubsequences: false)
            let isValid = parts.allSatisfy { part in
                isNumber(part) || (isIdentifier(part) && !part.utf8.allSatisfy { (48...57).contains($0) })
            }
            guard isValid else { return false }
        }
        if halves.count == 2 {
            guard halves[1].split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isIdentifier) else {
                return false
            }
        }
        return true
    }
}
