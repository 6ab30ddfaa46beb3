import Document
import Runtime

/// A pod's sandbox: the namespaces that its containers share.
enum SandboxBuilder {
    static func build(
        pod: Document, hostname: String, stateDirectory: String, configuration: KubeletConfiguration
    ) -> SandboxSpecification {
        let uid = pod.text("metadata", "uid") ?? ""
        var sandbox = SandboxSpecification(id: uid, stateDirectory: stateDirectory)
        let isHostNetwork = pod.flag("spec", "hostNetwork") == true
        if !isHostNetwork {
            sandbox.namespaces[.network] = .new
            sandbox.namespaces[.uts] = .new
            sandbox.hostname = hostname
        }
        if pod.flag("spec", "hostIPC") != true { sandbox.namespaces[.ipc] = .new }
        if pod.flag("spec", "shareProcessNamespace") == true, pod.flag("spec", "hostPID") != true {
            sandbox.namespaces[.pid] = .new
        }
        // What a container mounts for the node to see gets there from the node's own mounts alone, not from copies.
        if !sharesMounts(pod) { sandbox.namespaces[.mount] = .new }
        sandbox.cgroup = Resources.podCgroup(pod, root: configuration.cgroupRoot)
        sandbox.limits = Resources.limits(pod: pod)
        sandbox.limits.pids = configuration.podPidsLimit
        sandbox.oomScoreAdjust = -998
        for sysctl in pod.list("spec", "securityContext", "sysctls") {
            if let name = sysctl.text("name"), let value = sysctl.text("value") {
                sandbox.sysctls[SysctlPolicy.dotted(name)] = value
            }
        }
        if !isHostNetwork, sandbox.sysctls["net.ipv4.ip_unprivileged_port_start"] == nil {
            // As containerd and Docker do: programs without root may serve port 80, and may ping.
            sandbox.sysctls["net.ipv4.ip_unprivileged_port_start"] = "0"
            sandbox.sysctls["net.ipv4.ping_group_range"] = "0 2147483647"
        }
        return sandbox
    }

    private static func sharesMounts(_ pod: Document) -> Bool {
        ["initContainers", "containers"].contains { list in
            pod.list("spec", list).contains { container in
                container.list("volumeMounts").contains { $0.text("mountPropagation") == "Bidirectional" }
            }
        }
    }

    /// The name that the kernel shows: the short one, unless the pod asks for the full one or for a certain one.
    static func kernelHostname(of pod: Document, configuration: KubeletConfiguration) throws -> String {
        let short = hostname(of: pod, nodeName: configuration.nodeName)
        if let exact = pod.text("spec", "hostnameOverride"), !exact.isEmpty { return exact }
        guard pod.flag("spec", "setHostnameAsFQDN") == true, pod.flag("spec", "hostNetwork") != true,
            let subdomain = pod.text("spec", "subdomain"), !subdomain.isEmpty
        else { return short }
        let namespace = pod.text("metadata", "namespace") ?? "default"
        let full = "\(short).\(subdomain).\(namespace).svc.\(configuration.clusterDomain)"
        let count = full.utf8.count
        guard count <= 64 else {
            throw StartProblem(
                reason: "FailedCreatePodSandBox",
                message: "Failed to construct FQDN from Pod hostname and cluster domain, FQDN \(full) is too long "
                    + "(64 characters is the max, \(count) characters requested)")
        }
        return full
    }

    /// `spec.hostname` or the pod's name, cut to what the kernel takes; the node's on the host's network.
    static func hostname(of pod: Document, nodeName: String) -> String {
        if pod.flag("spec", "hostNetwork") == true { return nodeName }
        let own = pod.text("spec", "hostname") ?? ""
        let name = own.isEmpty ? pod.text("metadata", "name") ?? "" : own
        guard name.utf8.count > 63 else { return name }
        var cut = Substring(name.prefix(63))
        while let last = cut.last, last == "-" || last == "." { cut = cut.dropLast() }
        return String(cut)
    }
}
