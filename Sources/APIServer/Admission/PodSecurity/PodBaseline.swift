import Document
import Schema

/// The rules of the level `baseline`: no known ways out of a container.
enum PodBaseline {
    private typealias Words = PodSecurityChecks

    @Sendable static func appArmor(_ pod: CheckedPod) -> PodSecurityViolation? {
        func bad(_ context: Document) -> String? {
            guard let profile = context["appArmorProfile"], profile.isObject else { return nil }
            let type = profile.text("type") ?? ""
            return ["RuntimeDefault", "Localhost"].contains(type) ? nil : type
        }
        let ofPod = bad(pod.context)
        let names = pod.names { bad($1) != nil }
        var values = Words.sorted(pod.containers.compactMap { bad($0.context) } + (ofPod.map { [$0] } ?? []))
        var setters = Words.setters(pod: ofPod != nil, names)
        let annotations = (pod.annotations?.members ?? []).filter { member in
            let value = member.value.string ?? ""
            return member.key.hasPrefix("container.apparmor.security.beta.kubernetes.io/") && !value.isEmpty
                && value != "runtime/default" && !value.hasPrefix("localhost/")
        }
        if !annotations.isEmpty {
            values += Words.sorted(annotations.map { "\($0.key)=\($0.value.jsonText)" })
            let word = Words.plural("annotation", "annotations", annotations.count)
            setters = setters.isEmpty ? word : "\(setters) and \(word)"
        }
        if setters.isEmpty { return nil }
        return .init(
            reason: Words.plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.count),
            detail: "\(setters) must not set AppArmor profile type to \(Words.quoted(values))")
    }

    private static let usualCapabilities: Set = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    ]

    @Sendable static func capabilities(_ pod: CheckedPod) -> PodSecurityViolation? {
        func extra(_ context: Document) -> [String] {
            context.list("capabilities", "add").compactMap(\.string).filter { !usualCapabilities.contains($0) }
        }
        let names = pod.names { !extra($1).isEmpty }
        if names.isEmpty { return nil }
        let values = Words.sorted(pod.containers.flatMap { extra($0.context) })
        return .init(
            reason: "non-default capabilities",
            detail: "\(Words.containers(names)) must not include \(Words.quoted(values)) in "
                + "securityContext.capabilities.add")
    }

    @Sendable static func hostNamespaces(_ pod: CheckedPod) -> PodSecurityViolation? {
        let used = ["hostNetwork", "hostPID", "hostIPC"].filter { pod.spec.flag($0) == true }
        if used.isEmpty { return nil }
        return .init(reason: "host namespaces", detail: used.map { $0 + "=true" }.joined(separator: ", "))
    }

    @Sendable static func hostPaths(_ pod: CheckedPod) -> PodSecurityViolation? {
        let names = pod.spec.list("volumes").filter { $0["hostPath"] != nil }.map { $0.text("name") ?? "" }
        if names.isEmpty { return nil }
        return .init(
            reason: "hostPath volumes",
            detail: "\(Words.plural("volume", "volumes", names.count)) \(Words.quoted(names))")
    }

    @Sendable static func hostPorts(_ pod: CheckedPod) -> PodSecurityViolation? {
        func used(_ body: Document) -> [String] {
            body.list("ports").compactMap { $0.number("hostPort") }.filter { $0 != 0 }.map { String($0) }
        }
        let names = pod.names { body, _ in !used(body).isEmpty }
        if names.isEmpty { return nil }
        let ports = Words.sorted(pod.containers.flatMap { used($0.body) })
        return .init(
            reason: "hostPort",
            detail: "\(Words.containers(names)) \(Words.plural("uses", "use", names.count)) "
                + "\(Words.plural("hostPort", "hostPorts", ports.count)) \(ports.joined(separator: ", "))")
    }

    @Sendable static func probeHosts(_ pod: CheckedPod) -> PodSecurityViolation? {
        func hosts(_ body: Document) -> [String] {
            let handlers = [
                body["livenessProbe"], body["readinessProbe"], body["startupProbe"], body.at("lifecycle", "postStart"),
                body.at("lifecycle", "preStop"),
            ].compactMap { $0 }
            return handlers.flatMap { [$0.text("httpGet", "host"), $0.text("tcpSocket", "host")] }
                .compactMap { $0 }.filter { !$0.isEmpty }
        }
        let names = Words.sorted(pod.names { body, _ in !hosts(body).isEmpty })
        if names.isEmpty { return nil }
        let values = Words.sorted(pod.containers.flatMap { hosts($0.body) })
        let what = Words.plural("probe or lifecycle host", "probe or lifecycle hosts", values.count)
        return .init(
            reason: "probe or lifecycle host",
            detail: "\(Words.containers(names)) \(Words.plural("uses", "use", names.count)) \(what) "
                + Words.quoted(values))
    }

    @Sendable static func privileged(_ pod: CheckedPod) -> PodSecurityViolation? {
        let names = pod.names { $1.flag("privileged") == true }
        if names.isEmpty { return nil }
        return .init(
            reason: "privileged", detail: "\(Words.containers(names)) must not set securityContext.privileged=true")
    }

    @Sendable static func procMount(_ pod: CheckedPod) -> PodSecurityViolation? {
        func bad(_ context: Document) -> String? { context.text("procMount").flatMap { $0 == "Default" ? nil : $0 } }
        let names = pod.names { bad($1) != nil }
        if names.isEmpty { return nil }
        let values = Words.sorted(pod.containers.compactMap { bad($0.context) })
        return .init(
            reason: "procMount",
            detail: "\(Words.containers(names)) must not set securityContext.procMount to \(Words.quoted(values))")
    }

    static let seLinuxTypes: Set = ["", "container_t", "container_init_t", "container_kvm_t"]

    static func seLinux(_ pod: CheckedPod, _ allowed: Set<String>) -> PodSecurityViolation? {
        func isBad(_ context: Document) -> Bool {
            guard let options = context["seLinuxOptions"] else { return false }
            return !allowed.contains(options.text("type") ?? "") || !(options.text("user") ?? "").isEmpty
                || !(options.text("role") ?? "").isEmpty
        }
        let ofPod = isBad(pod.context)
        let names = pod.names { isBad($1) }
        guard ofPod || !names.isEmpty else { return nil }
        let all = ([pod.context] + pod.containers.map(\.context)).compactMap { $0["seLinuxOptions"] }
        let types = Words.sorted(all.map { $0.text("type") ?? "" }.filter { !allowed.contains($0) })
        var parts: [String] = []
        if !types.isEmpty { parts.append("\(Words.plural("type", "types", types.count)) \(Words.quoted(types))") }
        for field in ["user", "role"] where all.contains(where: { !($0.text(field) ?? "").isEmpty }) {
            parts.append("\(field) may not be set")
        }
        return .init(
            reason: "seLinuxOptions",
            detail: "\(Words.setters(pod: ofPod, names)) set forbidden securityContext.seLinuxOptions: "
                + parts.joined(separator: "; "))
    }

    /// Before seccomp had fields, annotations named its profiles.
    @Sendable static func seccompAnnotations(_ pod: CheckedPod) -> PodSecurityViolation? {
        let keys =
            ["seccomp.security.alpha.kubernetes.io/pod"]
            + pod.containers.map { "container.seccomp.security.alpha.kubernetes.io/" + $0.name }
        let bad = keys.compactMap { key -> String? in
            guard let value = pod.annotations?[key]?.string, value != "runtime/default", value != "docker/default",
                !value.hasPrefix("localhost/")
            else { return nil }
            return "\(key)=\(Document(value).jsonText)"
        }
        if bad.isEmpty { return nil }
        let values = Words.sorted(bad)
        return .init(
            reason: "seccompProfile",
            detail: "forbidden \(Words.plural("annotation", "annotations", values.count)) "
                + values.joined(separator: ", "))
    }

    /// Kernel settings that concern the pod alone, by the minor version that found them harmless.
    private static let safeSysctls: [String: Int] = [
        "kernel.shm_rmid_forced": 0, "net.ipv4.ip_local_port_range": 0, "net.ipv4.tcp_syncookies": 0,
        "net.ipv4.ping_group_range": 0, "net.ipv4.ip_unprivileged_port_start": 0,
        "net.ipv4.ip_local_reserved_ports": 27, "net.ipv4.tcp_keepalive_time": 29, "net.ipv4.tcp_fin_timeout": 29,
        "net.ipv4.tcp_keepalive_intvl": 29, "net.ipv4.tcp_keepalive_probes": 29, "net.ipv4.tcp_rmem": 32,
        "net.ipv4.tcp_wmem": 32,
    ]

    static func sysctls(_ pod: CheckedPod, since minor: Int) -> PodSecurityViolation? {
        let bad = pod.context.list("sysctls").map { $0.text("name") ?? "" }.filter { name in
            safeSysctls[name].map { $0 > minor } ?? true
        }
        return bad.isEmpty ? nil : .init(reason: "forbidden sysctls", detail: bad.joined(separator: ", "))
    }

    @Sendable static func hostProcess(_ pod: CheckedPod) -> PodSecurityViolation? {
        func isBad(_ context: Document) -> Bool { context.flag("windowsOptions", "hostProcess") == true }
        let names = pod.names { isBad($1) }
        guard isBad(pod.context) || !names.isEmpty else { return nil }
        return .init(
            reason: "hostProcess",
            detail: "\(Words.setters(pod: isBad(pod.context), names)) must not set "
                + "securityContext.windowsOptions.hostProcess=true")
    }
}
