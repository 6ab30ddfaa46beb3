import Glibc

/// A call into the kernel that failed: what was tried, on what, and the kernel's answer.
public struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    public var operation: String
    public var object: String
    public var errno: Int32

    public init(_ operation: String, _ object: String = "", errno: Int32) {
        self.operation = operation
        self.object = object
        self.errno = errno
    }
}

extension SystemError {
    public var description: String {
        let what = object.isEmpty ? operation : "\(operation) \(object)"
        return "\(what): \(String(cString: strerror(errno)))"
    }
}
