import Document

/// Values as the internal structures of a Kubernetes server print in its messages: every field, under its name in Go.
enum GoStructures {
    private static func fields(_ value: Document?, _ names: [(String, String)]) -> Document {
        guard let value, value.isObject else { return .null }
        return Document(members: names.map { ($0.0, value[$0.1] ?? .null) })
    }

    static func securityContext(_ context: Document) -> Document {
        let profile = [("Type", "type"), ("LocalhostProfile", "localhostProfile")]
        return [
            "Capabilities": fields(context["capabilities"], [("Add", "add"), ("Drop", "drop")]),
            "Privileged": context["privileged"] ?? .null,
            "SELinuxOptions": fields(
                context["seLinuxOptions"], [("User", "user"), ("Role", "role"), ("Type", "type"), ("Level", "level")]),
            "WindowsOptions": fields(
                context["windowsOptions"],
                [
                    ("GMSACredentialSpecName", "gmsaCredentialSpecName"),
                    ("GMSACredentialSpec", "gmsaCredentialSpec"), ("RunAsUserName", "runAsUserName"),
                    ("HostProcess", "hostProcess"),
                ]),
            "RunAsUser": context["runAsUser"] ?? .null, "RunAsGroup": context["runAsGroup"] ?? .null,
            "RunAsNonRoot": context["runAsNonRoot"] ?? .null,
            "ReadOnlyRootFilesystem": context["readOnlyRootFilesystem"] ?? .null,
            "AllowPrivilegeEscalation": context["allowPrivilegeEscalation"] ?? .null,
            "ProcMount": context["procMount"] ?? .null,
            "SeccompProfile": fields(context["seccompProfile"], profile),
            "AppArmorProfile": fields(context["appArmorProfile"], profile),
        ]
    }
}
