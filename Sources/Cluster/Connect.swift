import Basics
import Client
import Glibc
import Kinds
import Linux
import Wire

/// Makes clients out of certificates and kubeconfigs.
public enum Connect {
    /// A component inside a node: its certificate from the node's directory, the API at its fabric address.
    static func component(_ certificate: String, to address: IPAddress, world: World) throws -> APIClient {
        let pki = "\(NodeBlueprint.Inside.configuration)/pki"
        let tls = try TLSClientContext(
            caPEM: try Files.read("\(pki)/ca.crt"), certificatePEM: try Files.read("\(pki)/\(certificate).crt"),
            keyPEM: try Files.read("\(pki)/\(certificate).key"))
        let transport = HTTPTransport(
            .ip(address, port: Addresses.apiPort), host: "\(address):\(Addresses.apiPort)", tls: tls,
            network: world.network, clock: world.clock)
        return APIClient(transport: transport, userAgent: "lab-\(certificate)")
    }

    /// Whether a call failed for want of any answer: refused, cut off, or ended in the middle of a handshake.
    static func isSilence(_ error: any Error) -> Bool {
        !(error is APIStatus || error is CancellationError || error is Failure)
    }

    /// Whoever a kubeconfig's context says: for lab's own, whose users have certificates or tokens.
    public static func client(
        _ kubeconfig: Kubeconfig, context: String? = nil, world: World, userAgent: String = "lab"
    ) throws -> APIClient {
        let access = try kubeconfig.access(context: context)
        return APIClient(
            transport: try transport(access, world: world), userAgent: userAgent, bearerToken: access.token)
    }

    /// The way to a context's server; without the client certificate where the caller brings credentials of its own.
    public static func transport(
        _ access: Kubeconfig.Access, withCertificate: Bool = true, world: World
    ) throws -> any UpgradingTransport {
        let address = try address(access)
        let origin = address.origin
        let literal = IPAddress(origin.host)
        let transport = HTTPTransport(
            .ip(literal ?? .any, port: origin.port), host: origin.authority,
            tls: origin.isSecure ? try tls(access, withCertificate: withCertificate) : nil,
            serverName: access.serverName ?? origin.host,
            network: literal == nil
                ? NamedServer(origin.host, port: origin.port, names: MachineNames(world: world)) : world.network,
            clock: world.clock)
        let folder = address.target.hasSuffix("/") ? String(address.target.dropLast()) : address.target
        return folder.isEmpty ? transport : FolderTransport(transport: transport, folder: folder)
    }

    /// A server that is written without a scheme is spoken to over TLS where anything is said about that.
    private static func address(_ access: Kubeconfig.Access) throws -> WebAddress {
        let isSecure = access.authority != nil || access.certificate != nil || access.skipVerification
        let text = access.server.contains("://") ? access.server : "\(isSecure ? "https" : "http")://\(access.server)"
        guard let address = WebAddress(text), !address.target.contains("?") else {
            throw KubeconfigError("'\(access.server)' is no http or https address")
        }
        return address
    }

    private static func tls(_ access: Kubeconfig.Access, withCertificate: Bool) throws -> TLSClientContext {
        let certificate = withCertificate ? try read(access.certificate) : nil
        let key = withCertificate ? try read(access.key) : nil
        if access.skipVerification {
            guard access.authority == nil else {
                throw KubeconfigError("insecure-skip-tls-verify and a certificate-authority exclude each other")
            }
            return try TLSClientContext(caPEM: nil, certificatePEM: certificate, keyPEM: key)
        }
        var authority = try read(access.authority)
        if authority == nil {
            let named = getenv("SSL_CERT_FILE").map { String(cString: $0) }
            guard let bundle = AuthorityBundle.path(named: named) else {
                throw KubeconfigError("the cluster has no certificate-authority, and this machine trusts none")
            }
            authority = try Files.read(bundle, limit: 8 << 20)
        }
        return try TLSClientContext(caPEM: authority, certificatePEM: certificate, keyPEM: key)
    }

    private static func read(_ material: Kubeconfig.Material?) throws -> [UInt8]? {
        switch material {
        case nil: nil
        case .bytes(let bytes): bytes
        case .file(let path): try Files.read(path, limit: 1 << 20)
        }
    }
}

/// A server whose API does not begin at its root, such as a gateway to several.
private struct FolderTransport: UpgradingTransport {
    let transport: HTTPTransport
    /// Begins with a slash and ends without one.
    let folder: String

    func send(_ request: Request) async throws -> any ResponseStream { try await transport.send(inside(request)) }
    func upgrade(_ request: Request) async throws -> Upgrade { try await transport.upgrade(inside(request)) }

    private func inside(_ request: Request) -> Request {
        var request = request
        request.target = folder + request.target
        return request
    }
}
