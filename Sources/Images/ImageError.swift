/// Something about an image or an archive that is wrong: names the object, then the fact.
public struct ImageError: Error, Sendable, Equatable, CustomStringConvertible {
    public var object: String
    public var message: String

    public init(_ object: String, _ message: String) {
        self.object = object
        self.message = message
    }

    public var description: String { "\(object): \(message)" }
}
