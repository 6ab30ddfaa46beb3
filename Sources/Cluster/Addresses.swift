import Basics

/// The addresses of a cluster. Every cluster lives in its own network namespace, so all use the same ones.
public enum Addresses {
    public static let nodes = CIDR(IPAddress(v4: 0x0A59_0000), prefix: 24)
    public static let pods = CIDR(IPAddress(v4: 0x0AF4_0000), prefix: 16)
    public static let services = CIDR(IPAddress(v4: 0x0A60_0000), prefix: 16)
    public static let gateway = IPAddress(v4: 0x0A59_0001)
    public static let kubernetesService = IPAddress(v4: 0x0A60_0001)
    public static let dns = IPAddress(v4: 0x0A60_000A)
    public static let apiPort: UInt16 = 6443
    public static let kubeletPort: UInt16 = 10250
    public static let controllerManagerPort: UInt16 = 10257
    public static let schedulerPort: UInt16 = 10259
    public static let clusterDomain = "cluster.local"

    /// The control plane is node 0, at .2: .1 is the bridge.
    public static func node(_ index: Int) -> IPAddress { IPAddress(v4: 0x0A59_0002 + UInt32(index)) }
}
