import Document

/// A pod's spec as the internal structures of a Kubernetes server print: every field under its name in Go, one a line.
/// Messages about forbidden changes show the difference of two such texts.
///
/// The structures stand as text: a type and its fields, and behind a field its form: nothing for a text, `#` a number,
/// `?` a truth, `*` what can be null (then perhaps a type), `[T]` a list, `{}` a map, `!T` a structure that is always
/// there. What is not declared here prints under its JSON names with a capital letter.
enum GoDump {
    private static let text = """
        PodSpec Volumes[Volume] InitContainers[Container] Containers[Container] EphemeralContainers[EphemeralContainer] \
        RestartPolicy TerminationGracePeriodSeconds* ActiveDeadlineSeconds* DNSPolicy NodeSelector{} ServiceAccountName \
        AutomountServiceAccountToken* NodeName SecurityContext*PodSecurityContext ImagePullSecrets[Reference] Hostname \
        Subdomain SetHostnameAsFQDN* Affinity*Affinity SchedulerName Tolerations[Toleration] HostAliases[HostAlias] \
        PriorityClassName Priority* PreemptionPolicy* DNSConfig*DNSConfig ReadinessGates[Gate] RuntimeClassName* \
        Overhead{} EnableServiceLinks* TopologySpreadConstraints[] OS*Name SchedulingGates[Reference] \
        ResourceClaims[PodClaim] Resources*Resources HostnameOverride*
        PodSecurityContext HostNetwork? HostPID? HostIPC? ShareProcessNamespace* HostUsers* \
        SELinuxOptions*SELinuxOptions WindowsOptions* RunAsUser* RunAsGroup* RunAsNonRoot* SupplementalGroups[] \
        SupplementalGroupsPolicy* FSGroup* FSGroupChangePolicy* Sysctls[Sysctl] SeccompProfile*Profile \
        AppArmorProfile*Profile SELinuxChangePolicy*
        Container Name Image Command[] Args[] WorkingDir Ports[Port] EnvFrom[EnvFrom] Env[Env] Resources!Resources \
        ResizePolicy[] RestartPolicy* RestartPolicyRules[] VolumeMounts[Mount] VolumeDevices[] LivenessProbe*Probe \
        ReadinessProbe*Probe StartupProbe*Probe Lifecycle*Lifecycle TerminationMessagePath TerminationMessagePolicy \
        ImagePullPolicy SecurityContext*SecurityContext Stdin? StdinOnce? TTY?
        SecurityContext Capabilities*Capabilities Privileged* SELinuxOptions*SELinuxOptions WindowsOptions* RunAsUser* \
        RunAsGroup* RunAsNonRoot* ReadOnlyRootFilesystem* AllowPrivilegeEscalation* ProcMount* SeccompProfile*Profile \
        AppArmorProfile*Profile
        Volume Name HostPath*HostPath EmptyDir*EmptyDir GCEPersistentDisk* AWSElasticBlockStore* GitRepo* \
        Secret*SecretSource NFS*NFS ISCSI* Glusterfs* PersistentVolumeClaim*ClaimSource RBD* Quobyte* FlexVolume* Cinder* \
        CephFS* Flocker* DownwardAPI*DownwardAPI FC* AzureFile* ConfigMap*MapSource VsphereVolume* AzureDisk* \
        PhotonPersistentDisk* Projected*Projected PortworxVolume* ScaleIO* StorageOS* CSI*CSI Ephemeral*EphemeralSource Image*
        EphemeralSource VolumeClaimTemplate*ClaimTemplate
        ClaimTemplate Spec!ClaimSpec
        ClaimSpec AccessModes[] Selector* Resources!VolumeResources VolumeName StorageClassName* VolumeMode* DataSource* \
        DataSourceRef* VolumeAttributesClassName*
        VolumeResources Limits{} Requests{}
        HostPath Path Type*
        EmptyDir Medium SizeLimit*
        SecretSource SecretName Items[Item] DefaultMode* Optional*
        MapSource Name Items[Item] DefaultMode* Optional*
        Item Key Path Mode*
        NFS Server Path ReadOnly?
        ClaimSource ClaimName ReadOnly?
        DownwardAPI Items[DownwardItem] DefaultMode*
        DownwardItem Path FieldRef*FieldRef ResourceFieldRef*ResourceRef Mode*
        FieldRef APIVersion FieldPath
        ResourceRef ContainerName Resource Divisor
        Projected Sources[Projection] DefaultMode*
        Projection Secret*MapProjection DownwardAPI*DownwardProjection ConfigMap*MapProjection \
        ServiceAccountToken*TokenProjection ClusterTrustBundle* PodCertificate*
        MapProjection Name Items[Item] Optional*
        DownwardProjection Items[DownwardItem]
        TokenProjection Audience ExpirationSeconds# Path
        CSI Driver ReadOnly* FSType* VolumeAttributes{} NodePublishSecretRef*Reference
        EnvSource FieldRef*FieldRef ResourceFieldRef*ResourceRef ConfigMapKeyRef*KeyRef SecretKeyRef*KeyRef FileKeyRef*
        KeyRef Name Key Optional*
        EnvFromRef Name Optional*
        ExecAction Command[]
        HTTPGet Path Port Host Scheme HTTPHeaders[Sysctl]
        TCPSocket Port Host
        GRPC Port# Service*
        Handler Exec*ExecAction HTTPGet*HTTPGet TCPSocket*TCPSocket Sleep*
        Capabilities Add[] Drop[]
        SELinuxOptions User Role Type Level
        Profile Type LocalhostProfile*
        Sysctl Name Value
        Resources Limits{} Requests{} Claims[Claim]
        Claim Name Request
        PodClaim Name ResourceClaimName* ResourceClaimTemplateName*
        Port Name HostPort# ContainerPort# Protocol HostIP
        Env Name Value ValueFrom*EnvSource
        EnvFrom Prefix ConfigMapRef*EnvFromRef SecretRef*EnvFromRef
        Mount Name ReadOnly? RecursiveReadOnly* MountPath SubPath MountPropagation* SubPathExpr
        Probe Exec*ExecAction HTTPGet*HTTPGet TCPSocket*TCPSocket GRPC*GRPC InitialDelaySeconds# TimeoutSeconds# PeriodSeconds# SuccessThreshold# \
        FailureThreshold# TerminationGracePeriodSeconds*
        Lifecycle PostStart*Handler PreStop*Handler StopSignal*
        Toleration Key Operator Value Effect TolerationSeconds*
        HostAlias IP Hostnames[]
        DNSConfig Nameservers[] Searches[] Options[]
        Gate ConditionType
        Reference Name
        Name Name
        Affinity NodeAffinity* PodAffinity* PodAntiAffinity*
        """

    private struct Field {
        var name: String
        var json: String
        var form: Character
        var type: String
    }

    private static let types: [String: [Field]] = {
        var types: [String: [Field]] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let name = words.first else { continue }
            types[String(name)] = words.dropFirst().map(field)
        }
        types["EphemeralContainer"] =
            (types["Container"] ?? []) + [
                Field(name: "TargetContainerName", json: "targetContainerName", form: " ", type: "")
            ]
        return types
    }()

    private static func field(_ word: Substring) -> Field {
        let name = word.prefix { $0.isLetter || $0.isNumber }
        let form = word.dropFirst(name.count).first ?? " "
        let type = word.dropFirst(name.count + 1).filter { $0 != "]" && $0 != "}" }
        return Field(name: String(name), json: json(String(name)), form: form, type: String(type))
    }

    /// `DNSPolicy` is `dnsPolicy`, `NodeName` is `nodeName`: of capitals in a row the last begins a word.
    private static func json(_ name: String) -> String {
        if name == "SELinuxOptions" || name == "SELinuxChangePolicy" { return "seL" + name.dropFirst(3) }
        let capitals = name.prefix { $0.isUppercase }.count
        if capitals == name.count { return name.lowercased() }
        let lowered = capitals > 1 ? capitals - 1 : 1
        return name.prefix(lowered).lowercased() + name.dropFirst(lowered)
    }

    /// The spec's lines. What the API keeps in the spec and Go in the security context is moved there.
    static func podSpec(_ spec: Document) -> [String] {
        var spec = spec
        var context = spec["securityContext"] ?? .emptyObject
        for name in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"] {
            context[name] = spec[name]
        }
        spec["securityContext"] = context
        return lines(spec, "PodSpec")
    }

    static func container(_ container: Document) -> [String] { lines(container, "EphemeralContainer") }

    private static func lines(_ value: Document, _ type: String) -> [String] {
        var out: [String] = []
        write(value, type, indent: "", prefix: "", suffix: "", to: &out)
        return out
    }

    private static func write(
        _ value: Document, _ type: String, indent: String, prefix: String, suffix: String, to out: inout [String]
    ) {
        let inner = indent + " "
        switch value.kind {
        case .object:
            var members = value.members.map { (name: $0.key, value: $0.value, type: "") }
            if let fields = types[type] {
                members = fields.map { ($0.name, filled(value[$0.json], $0), $0.form == "{" ? "{}" : $0.type) }
            } else if type == "{}" {
                members.sort { $0.name < $1.name }
            } else {
                members = members.map { ($0.name.prefix(1).uppercased() + $0.name.dropFirst(), $0.value, "") }
            }
            if members.isEmpty { return out.append("\(indent)\(prefix){}\(suffix)") }
            out.append("\(indent)\(prefix){")
            for (index, member) in members.enumerated() {
                write(
                    member.value, member.type, indent: inner, prefix: "\(Document(member.name).jsonText): ",
                    suffix: index + 1 < members.count ? "," : "", to: &out)
            }
            out.append("\(indent)}\(suffix)")
        case .array:
            if value.count == 0 { return out.append("\(indent)\(prefix)null\(suffix)") }
            out.append("\(indent)\(prefix)[")
            for (index, element) in value.elements.enumerated() {
                write(
                    element, type, indent: inner, prefix: "", suffix: index + 1 < value.count ? "," : "", to: &out)
            }
            out.append("\(indent)]\(suffix)")
        default: out.append("\(indent)\(prefix)\(value.jsonText)\(suffix)")
        }
    }

    private static func filled(_ value: Document?, _ field: Field) -> Document {
        if let value, !value.isNull {
            // An empty map or list is none.
            return value.count == 0 && (field.form == "{" || field.form == "[") ? .null : value
        }
        switch field.form {
        case " ": return ""
        case "#": return 0
        case "?": return false
        case "!": return .emptyObject
        default: return .null
        }
    }
}

/// The difference of two texts, as `diff -u` shows it but without names.
enum LineDifference {
    private static let context = 3

    private enum Edit { case keep(String), drop(String), add(String) }

    static func unified(_ old: [String], _ new: [String]) -> String {
        let edits = edits(old, new)
        var text = ""
        var index = 0
        var (oldLine, newLine) = (1, 1)
        while index < edits.count {
            guard let first = edits[index...].firstIndex(where: { !isKept($0) }) else { break }
            let start = max(index, first - context)
            oldLine += start - index
            newLine += start - index
            // Changes that are near each other share a hunk.
            var end = first
            var last = first
            while end < edits.count, end - last <= 2 * context {
                if !isKept(edits[end]) { last = end }
                end += 1
            }
            end = min(edits.count, last + 1 + context)
            let hunk = edits[start..<end]
            let removed = hunk.filter { if case .add = $0 { false } else { true } }.count
            let added = hunk.filter { if case .drop = $0 { false } else { true } }.count
            text += "@@ -\(oldLine),\(removed) +\(newLine),\(added) @@\n"
            for edit in hunk {
                switch edit {
                case .keep(let line): text += " \(line)\n"
                case .drop(let line): text += "-\(line)\n"
                case .add(let line): text += "+\(line)\n"
                }
            }
            oldLine += removed
            newLine += added
            index = end
        }
        return text
    }

    private static func isKept(_ edit: Edit) -> Bool { if case .keep = edit { true } else { false } }

    /// The common end first: what is inserted before something alike is then shown before it.
    private static func edits(_ old: [String], _ new: [String]) -> [Edit] {
        var tail = 0
        while tail < min(old.count, new.count), old[old.count - 1 - tail] == new[new.count - 1 - tail] { tail += 1 }
        var head = 0
        while head < min(old.count, new.count) - tail, old[head] == new[head] { head += 1 }
        let (a, b) = (Array(old[head..<old.count - tail]), Array(new[head..<new.count - tail]))
        return old[..<head].map(Edit.keep) + middle(a, b) + old[(old.count - tail)...].map(Edit.keep)
    }

    /// The longest common subsequence of what is left; texts that are too long and too different are shown whole.
    private static func middle(_ a: [String], _ b: [String]) -> [Edit] {
        guard !a.isEmpty, !b.isEmpty, a.count * b.count <= 4_000_000 else { return a.map(Edit.drop) + b.map(Edit.add) }
        let width = b.count + 1
        var longest = [Int32](repeating: 0, count: (a.count + 1) * width)
        for i in stride(from: a.count - 1, through: 0, by: -1) {
            for j in stride(from: b.count - 1, through: 0, by: -1) {
                longest[i * width + j] =
                    a[i] == b[j]
                    ? longest[(i + 1) * width + j + 1] + 1
                    : max(longest[(i + 1) * width + j], longest[i * width + j + 1])
            }
        }
        var edits: [Edit] = []
        var (i, j) = (0, 0)
        while i < a.count || j < b.count {
            if i < a.count, j < b.count, a[i] == b[j] {
                edits.append(.keep(a[i]))
                i += 1
                j += 1
            } else if j == b.count || (i < a.count && longest[(i + 1) * width + j] >= longest[i * width + j + 1]) {
                edits.append(.drop(a[i]))
                i += 1
            } else {
                edits.append(.add(b[j]))
                j += 1
            }
        }
        return edits
    }
}

/// What changed in a part of a pod, for messages.
public enum PodDifference {
    public static func container(_ old: Document, _ new: Document) -> String {
        LineDifference.unified(GoDump.container(old), GoDump.container(new))
    }
}
