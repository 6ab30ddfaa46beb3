import Basics
import CLinux

extension RouteSocket {
    /// Tells the neighbours on a link at once that an IPv4 address is behind it, so that they forget who had it before.
    public static func announce(
        _ address: IPAddress, linkIndex: Int32, mac: MACAddress, in namespace: NetworkNamespace? = nil
    ) throws {
        let send = { net_announce(linkIndex, mac.bytes, address.bytes) }
        let status = try namespace?.run(send) ?? send()
        guard status == 0 else { throw SystemError("announce address", "\(address)", errno: -status) }
    }
}
