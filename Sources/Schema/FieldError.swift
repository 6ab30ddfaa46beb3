import Document

/// One thing that is wrong with an object, with the place.
public struct FieldError: Sendable, Equatable {
    public enum Kind: Sendable {
        case required, invalid, duplicate, notSupported, forbidden, tooLong, tooMany, typeInvalid, notFound
        case internalError
    }

    public var kind: Kind
    public var path: String
    public var detail: String
    public var badValue: Document?

    public init(_ kind: Kind, _ path: String, _ detail: String = "", badValue: Document? = nil) {
        self.kind = kind
        self.path = path
        self.detail = detail
        self.badValue = badValue
    }

    public static func required(_ path: String, _ detail: String = "") -> FieldError { .init(.required, path, detail) }
    public static func forbidden(_ path: String, _ detail: String) -> FieldError { .init(.forbidden, path, detail) }
    public static func invalid(_ path: String, _ value: Document?, _ detail: String) -> FieldError {
        .init(.invalid, path, detail, badValue: value ?? .null)
    }
    public static func duplicate(_ path: String, _ value: Document) -> FieldError {
        .init(.duplicate, path, "", badValue: value)
    }
    public static func notFound(_ path: String, _ value: Document) -> FieldError {
        .init(.notFound, path, "", badValue: value)
    }
    public static func tooLong(_ path: String, limit: Int) -> FieldError {
        .init(.tooLong, path, "may not be more than \(limit) bytes")
    }
    public static func tooMany(_ path: String, _ count: Int, _ limit: Int) -> FieldError {
        .init(.tooMany, path, "must have at most \(limit) items", badValue: Document(count))
    }
    /// Wrong as a whole, so that showing the value says nothing.
    public static func wrong(_ path: String, _ detail: String) -> FieldError { .init(.invalid, path, detail) }
    /// Names the supported values in the order given.
    public static func notSupported(_ path: String, _ value: Document?, _ supported: [String]) -> FieldError {
        let names = supported.map { "\"\($0)\"" }.joined(separator: ", ")
        return .init(.notSupported, path, "supported values: " + names, badValue: value ?? .null)
    }

    /// `reason` of the cause in a Status.
    public var reason: String {
        switch kind {
        case .required: "FieldValueRequired"
        case .invalid: "FieldValueInvalid"
        case .duplicate: "FieldValueDuplicate"
        case .notSupported: "FieldValueNotSupported"
        case .forbidden: "FieldValueForbidden"
        case .tooLong: "FieldValueTooLong"
        case .tooMany: "FieldValueTooMany"
        case .typeInvalid: "FieldValueTypeInvalid"
        case .notFound: "FieldValueNotFound"
        case .internalError: "InternalError"
        }
    }

    /// `message` of the cause: what is wrong, the value, and why, without the place.
    public var message: String {
        let title =
            switch kind {
            case .required: "Required value"
            case .invalid, .typeInvalid: "Invalid value"
            case .duplicate: "Duplicate value"
            case .notSupported: "Unsupported value"
            case .forbidden: "Forbidden"
            case .tooLong: "Too long"
            case .tooMany: "Too many"
            case .notFound: "Not found"
            case .internalError: "Internal error"
            }
        var text = title
        switch kind {
        case .required, .forbidden, .tooLong, .internalError: break
        default: if let badValue { text += ": " + (badValue.string.map(GoText.quoted) ?? badValue.jsonText) }
        }
        return detail.isEmpty ? text : text + ": " + detail
    }

    /// Place and message, as the parts of a Status's own message.
    public var text: String { path + ": " + message }
}
