import Basics
import Client
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

    /// Whoever a kubeconfig's context says.
    public static func client(
        _ kubeconfig: Kubeconfig, context: String? = nil, world: World, userAgent: String = "lab"
    ) throws -> APIClient {
        let access = try kubeconfig.access(context: context)
        var token = access.token
        if token == nil, let file = access.tokenFile {
            token = String(try Files.text(file).filter { !$0.isWhitespace })
        }
        return APIClient(transport: try transport(access, world: world), userAgent: userAgent, bearerToken: token)
    }

    /// The way to a context's server; without the client certificate where the caller brings credentials of its own.
    public static func transport(
        _ access: Kubeconfig.Access, withCertificate: Bool = true, world: World
    ) throws -> any Transport {
        let server = try Server(access.server)
        guard !access.skipVerification else {
            throw KubeconfigError("insecure-skip-tls-verify is not supported: name the authority instead")
        }
        var tls: TLSClientContext?
        if server.isSecure {
            guard let authority = try read(access.authority) else {
                throw KubeconfigError("the cluster has no certificate-authority")
            }
            tls = try TLSClientContext(
                caPEM: authority, certificatePEM: withCertificate ? try read(access.certificate) : nil,
                keyPEM: withCertificate ? try read(access.key) : nil)
        }
        return HTTPTransport(
            .ip(server.address, port: server.port), host: server.host, tls: tls, serverName: access.serverName,
            network: world.network, clock: world.clock)
    }

    private static func read(_ material: Kubeconfig.Material?) throws -> [UInt8]? {
        switch material {
        case nil: nil
        case .bytes(let bytes): bytes
        case .file(let path): try Files.read(path, limit: 1 << 20)
        }
    }

    /// `https://HOST[:PORT]`, the host an address or `localhost`.
    struct Server {
        var isSecure: Bool
        var host: String
        var address: IPAddress
        var port: UInt16

        init(_ text: String) throws {
            let parts = text.split(separator: "://", maxSplits: 1)
            guard parts.count == 2, let scheme = parts.first, scheme == "https" || scheme == "http" else {
                throw KubeconfigError("'\(text)' is no http or https address")
            }
            isSecure = scheme == "https"
            let authority = parts[1].prefix { $0 != "/" }
            var name = authority
            port = isSecure ? 443 : 80
            if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]"),
                let number = UInt16(authority[authority.index(after: colon)...])
            {
                name = authority[..<colon]
                port = number
            }
            if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
            guard let found = IPAddress(name) ?? (name == "localhost" ? IPAddress.loopback : nil) else {
                throw KubeconfigError("the server '\(text)' is not given by address, which is not supported yet")
            }
            address = found
            host = String(authority)
        }
    }
}
