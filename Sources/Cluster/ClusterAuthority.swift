import APIServer
import Basics
import Client
import Linux
import Wire

/// The keys and certificates of one cluster, made in memory when it is created; each node gets what it needs, no more.
/// For nodes that come later it is read back from where the control plane has it.
struct ClusterAuthority {
    /// A year, like kubeadm's leaf certificates; the authority itself lasts ten.
    static let leafValidity = Duration.seconds(365 * 86_400)
    static let authorityValidity = Duration.seconds(3_650 * 86_400)

    private let authority: CertificateAuthority
    private let admin: IssuedCertificate?
    private let serviceAccountKey: [UInt8]

    init(cluster: String, now: Timestamp) throws {
        authority = try CertificateAuthority.create(
            commonName: "lab-\(cluster)", now: now, validity: Self.authorityValidity)
        // As kubeadm does since 1.29: the administrator is bound by RBAC to a group that can be taken away again.
        admin = try authority.issue(
            commonName: "kubernetes-admin", organizations: ["system:masters"], usage: [.client], now: now,
            validity: Self.leafValidity)
        serviceAccountKey = try PrivateKey.generate().pem
        self.now = now
    }

    /// The authority of a cluster that exists, for certificates of workers.
    init(pki directory: String, now: Timestamp) throws {
        authority = try CertificateAuthority(
            certificatePEM: try Files.read("\(directory)/ca.crt"), keyPEM: try Files.read("\(directory)/ca.key"))
        serviceAccountKey = try Files.read("\(directory)/service-account.key")
        admin = nil
        self.now = now
    }

    private let now: Timestamp

    func adminKubeconfig(cluster: String, server: Endpoint) throws -> Kubeconfig {
        guard let admin else { throw Failure("the administrator's key is only in the kubeconfig") }
        return Kubeconfig(
            name: "lab-\(cluster)", server: "https://\(server)", authority: authority.certificatePEM,
            certificate: admin.certificatePEM, key: admin.keyPEM)
    }

    func writeFiles(for node: NodeRecord, into directory: String) throws {
        try Files.makeDirectories(directory, mode: 0o700)
        try Files.write(authority.certificatePEM, to: "\(directory)/ca.crt")
        try write(
            "kubelet-client",
            try authority.issue(
                commonName: "system:node:\(node.name)", organizations: ["system:nodes"], usage: [.client], now: now,
                validity: Self.leafValidity), into: directory)
        let users = [
            ("kube-proxy", "system:kube-proxy"), ("dns", ClusterObjects.dnsUser), ("ingress", IngressObjects.user),
        ]
        for (file, user) in users {
            try write(
                file,
                try authority.issue(
                    commonName: user, usage: [.client], now: now, validity: Self.leafValidity), into: directory)
        }
        try write(
            "kubelet-server",
            try authority.issue(
                commonName: "system:node:\(node.name)", organizations: ["system:nodes"],
                dnsNames: [node.name, "localhost"], ipAddresses: [node.address, .loopback], usage: [.server], now: now,
                validity: Self.leafValidity), into: directory)
        guard node.isControlPlane else { return }
        try writeControlPlane(node, into: directory)
    }

    private func writeControlPlane(_ node: NodeRecord, into directory: String) throws {
        let service = "kubernetes.default.svc"
        let networking = node.networking
        let further = node.components.certificateNames
        let addresses = further.compactMap { IPAddress($0) }
        let published = networking.apiServerAddress.isLoopback ? [] : [networking.apiServerAddress]
        try write(
            "apiserver",
            try authority.issue(
                commonName: "kube-apiserver", organizations: [],
                dnsNames: [
                    node.name, "localhost", "kubernetes", "kubernetes.default", service,
                    "\(service).\(Addresses.clusterDomain)",
                ] + further.filter { IPAddress($0) == nil },
                ipAddresses: [node.address, .loopback, networking.kubernetesService] + published + addresses,
                usage: [.server], now: now,
                validity: Self.leafValidity), into: directory)
        let clients = [
            ("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"]),
            ("controller-manager", "system:kube-controller-manager", []),
            ("scheduler", "system:kube-scheduler", []),
        ]
        for (file, name, organizations) in clients {
            try write(
                file,
                try authority.issue(
                    commonName: name, organizations: organizations, usage: [.client], now: now,
                    validity: Self.leafValidity), into: directory)
        }
        try writeFrontProxy(into: directory)
        try Files.write(serviceAccountKey, to: "\(directory)/service-account.key", mode: 0o600)
        // With it the controllers sign the certificates that are asked for and approved.
        try Files.write(authority.keyPEM, to: "\(directory)/ca.key", mode: 0o600)
    }

    /// By this certificate the servers that extend the API know the one in front, whose word about users they take.
    /// It has an authority of its own, whose key nobody keeps: no other certificate of the cluster passes for it.
    private func writeFrontProxy(into directory: String) throws {
        let front = try CertificateAuthority.create(
            commonName: "front-proxy-ca", now: now, validity: Self.authorityValidity)
        try Files.write(front.certificatePEM, to: "\(directory)/front-proxy-ca.crt")
        try write(
            "front-proxy-client",
            try front.issue(
                commonName: APIServerConfiguration.ProxyClient.name, usage: [.client], now: now,
                validity: Self.leafValidity), into: directory)
    }

    private func write(_ name: String, _ issued: IssuedCertificate, into directory: String) throws {
        try Files.write(issued.certificatePEM, to: "\(directory)/\(name).crt")
        try Files.write(issued.keyPEM, to: "\(directory)/\(name).key", mode: 0o600)
    }
}
