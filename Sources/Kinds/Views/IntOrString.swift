import Document
import Schema

/// A number, a name, or a share in percent.
public enum IntOrString: Sendable, Equatable {
    case int(Int)
    case string(String)

    public init?(_ document: Document?) {
        if let number = document?.int {
            self = .int(number)
        } else if let text = document?.string {
            self = .string(text)
        } else {
            return nil
        }
    }

    /// The number itself, or the share of `total`; nil where it is neither.
    public func scaled(to total: Int, roundingUp: Bool) -> Int? {
        switch self {
        case .int(let number): return number
        case .string(let text):
            guard text.hasSuffix("%"), let percent = Int(text.dropLast()) else { return nil }
            return roundingUp ? (percent * total + 99) / 100 : percent * total / 100
        }
    }

    /// What is wrong with a value that must be a number not below zero or a percentage.
    static func check(_ value: Document, path: String) -> [FieldError] {
        switch IntOrString(value) {
        case .int(let number):
            return number < 0 ? [.invalid(path, value, "must be greater than or equal to 0")] : []
        case .string(let text):
            let digits = text.dropLast()
            let valid = text.hasSuffix("%") && !digits.isEmpty && digits.utf8.allSatisfy { (48...57).contains($0) }
            return valid
                ? []
                : [
                    .invalid(
                        path, value,
                        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
                            + "'93%', regex used for validation is '[0-9]+%')")
                ]
        case nil: return []
        }
    }
}
