import Basics
import CLinux
import Glibc

/// An endpoint as the kernel writes it.
struct SocketAddress {
    var storage = sockaddr_storage()
    var length: socklen_t = 0

    init() {}

    /// `family` is that of the socket the address is for: IPv4 goes through an IPv6 socket in mapped form.
    init(_ endpoint: Endpoint, family: Int32? = nil) throws(SystemError) {
        switch endpoint {
        case .ip(let address, let port):
            let bytes = address.bytes
            length = lab_address_ip(&storage, bytes, bytes.count, port, family == AF_INET6)
            if length == 0 { throw SystemError("address", "\(endpoint)", errno: EAFNOSUPPORT) }
        case .unix(let path):
            length = lab_address_unix(&storage, path)
            if length == 0 { throw SystemError("address", "\(endpoint)", errno: ENAMETOOLONG) }
        }
    }

    var endpoint: Endpoint? {
        var storage = storage
        var bytes = [UInt8](repeating: 0, count: 16)
        var port: UInt16 = 0
        let count = lab_address_get_ip(&storage, &bytes, &port)
        if count > 0 { return IPAddress(bytes: bytes.prefix(count)).map { .ip($0, port: port) } }
        guard storage.ss_family == UInt16(AF_UNIX) else { return nil }
        return .unix(withUnsafePointer(to: storage) { String(cString: lab_address_get_unix($0, length)) })
    }

    static func local(of fd: Int32) -> SocketAddress {
        var address = SocketAddress()
        if lab_local_address(fd, &address.storage, &address.length) != 0 { return SocketAddress() }
        return address
    }
}

extension Endpoint {
    var family: Int32 {
        switch self {
        case .ip(let address, _): address.isIPv6 ? AF_INET6 : AF_INET
        case .unix: AF_UNIX
        }
    }
}
