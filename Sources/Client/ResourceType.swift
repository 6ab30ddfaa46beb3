import Document

/// A kind of object as a URL names it.
public struct ResourceType: Sendable, Hashable, CustomStringConvertible {
    public var group: String
    public var version: String
    public var plural: String
    public var namespaced: Bool
    public var kind: String

    public init(group: String = "", version: String = "v1", plural: String, kind: String, namespaced: Bool = true) {
        self.group = group
        self.version = version
        self.plural = plural
        self.namespaced = namespaced
        self.kind = kind
    }

    /// As objects of this type carry it in `apiVersion`.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    /// `pods`, `deployments.apps`.
    public var description: String { group.isEmpty ? plural : "\(plural).\(group)" }

    /// The path of the collection, an object, or an object's subresource.
    public func path(namespace: String? = nil, name: String? = nil, subresource: String? = nil) -> String {
        var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        if namespaced, let namespace, !namespace.isEmpty { path += "/namespaces/\(URLText.escape(namespace))" }
        path += "/\(plural)"
        if let name { path += "/\(URLText.escape(name))" }
        if let subresource { path += "/\(subresource)" }
        return path
    }
}

extension ResourceType {
    public static let bindings = core("bindings", "Binding")
    public static let configMaps = core("configmaps", "ConfigMap")
    public static let endpoints = core("endpoints", "Endpoints")
    public static let events = core("events", "Event")
    public static let limitRanges = core("limitranges", "LimitRange")
    public static let namespaces = core("namespaces", "Namespace", namespaced: false)
    public static let nodes = core("nodes", "Node", namespaced: false)
    public static let persistentVolumeClaims = core("persistentvolumeclaims", "PersistentVolumeClaim")
    public static let persistentVolumes = core("persistentvolumes", "PersistentVolume", namespaced: false)
    public static let pods = core("pods", "Pod")
    public static let podTemplates = core("podtemplates", "PodTemplate")
    public static let replicationControllers = core("replicationcontrollers", "ReplicationController")
    public static let resourceQuotas = core("resourcequotas", "ResourceQuota")
    public static let secrets = core("secrets", "Secret")
    public static let serviceAccounts = core("serviceaccounts", "ServiceAccount")
    public static let services = core("services", "Service")

    public static let controllerRevisions = apps("controllerrevisions", "ControllerRevision")
    public static let daemonSets = apps("daemonsets", "DaemonSet")
    public static let deployments = apps("deployments", "Deployment")
    public static let replicaSets = apps("replicasets", "ReplicaSet")
    public static let statefulSets = apps("statefulsets", "StatefulSet")

    public static let jobs = ResourceType(group: "batch", plural: "jobs", kind: "Job")
    public static let cronJobs = ResourceType(group: "batch", plural: "cronjobs", kind: "CronJob")
    public static let horizontalPodAutoscalers = ResourceType(
        group: "autoscaling", version: "v2", plural: "horizontalpodautoscalers", kind: "HorizontalPodAutoscaler")
    public static let podDisruptionBudgets = ResourceType(
        group: "policy", plural: "poddisruptionbudgets", kind: "PodDisruptionBudget")
    public static let endpointSlices = ResourceType(
        group: "discovery.k8s.io", plural: "endpointslices", kind: "EndpointSlice")
    public static let leases = ResourceType(group: "coordination.k8s.io", plural: "leases", kind: "Lease")
    public static let ingressClasses = ResourceType(
        group: "networking.k8s.io", plural: "ingressclasses", kind: "IngressClass", namespaced: false)
    public static let ingresses = ResourceType(group: "networking.k8s.io", plural: "ingresses", kind: "Ingress")
    public static let networkPolicies = ResourceType(
        group: "networking.k8s.io", plural: "networkpolicies", kind: "NetworkPolicy")
    public static let storageClasses = ResourceType(
        group: "storage.k8s.io", plural: "storageclasses", kind: "StorageClass", namespaced: false)
    public static let csiNodes = ResourceType(
        group: "storage.k8s.io", plural: "csinodes", kind: "CSINode", namespaced: false)
    public static let csiDrivers = ResourceType(
        group: "storage.k8s.io", plural: "csidrivers", kind: "CSIDriver", namespaced: false)
    public static let csiStorageCapacities = ResourceType(
        group: "storage.k8s.io", plural: "csistoragecapacities", kind: "CSIStorageCapacity")
    public static let volumeAttributesClasses = ResourceType(
        group: "storage.k8s.io", plural: "volumeattributesclasses", kind: "VolumeAttributesClass", namespaced: false)
    public static let volumeAttachments = ResourceType(
        group: "storage.k8s.io", plural: "volumeattachments", kind: "VolumeAttachment", namespaced: false)
    public static let priorityClasses = ResourceType(
        group: "scheduling.k8s.io", plural: "priorityclasses", kind: "PriorityClass", namespaced: false)
    public static let runtimeClasses = ResourceType(
        group: "node.k8s.io", plural: "runtimeclasses", kind: "RuntimeClass", namespaced: false)
    public static let certificateSigningRequests = ResourceType(
        group: "certificates.k8s.io", plural: "certificatesigningrequests", kind: "CertificateSigningRequest",
        namespaced: false)
    public static let customResourceDefinitions = ResourceType(
        group: "apiextensions.k8s.io", plural: "customresourcedefinitions", kind: "CustomResourceDefinition",
        namespaced: false)
    public static let apiServices = ResourceType(
        group: "apiregistration.k8s.io", plural: "apiservices", kind: "APIService", namespaced: false)
    public static let serviceCIDRs = ResourceType(
        group: "networking.k8s.io", plural: "servicecidrs", kind: "ServiceCIDR", namespaced: false)
    public static let validatingAdmissionPolicies = ResourceType(
        group: "admissionregistration.k8s.io", plural: "validatingadmissionpolicies",
        kind: "ValidatingAdmissionPolicy", namespaced: false)
    public static let ipAddresses = ResourceType(
        group: "networking.k8s.io", plural: "ipaddresses", kind: "IPAddress", namespaced: false)
    public static let resourceClaimTemplates = ResourceType(
        group: "resource.k8s.io", plural: "resourceclaimtemplates", kind: "ResourceClaimTemplate")
    public static let resourceClaims = ResourceType(
        group: "resource.k8s.io", plural: "resourceclaims", kind: "ResourceClaim")
    public static let roles = rbac("roles", "Role", namespaced: true)
    public static let roleBindings = rbac("rolebindings", "RoleBinding", namespaced: true)
    public static let clusterRoles = rbac("clusterroles", "ClusterRole", namespaced: false)
    public static let clusterRoleBindings = rbac("clusterrolebindings", "ClusterRoleBinding", namespaced: false)
    public static let tokenReviews = ResourceType(
        group: "authentication.k8s.io", plural: "tokenreviews", kind: "TokenReview", namespaced: false)
    public static let subjectAccessReviews = ResourceType(
        group: "authorization.k8s.io", plural: "subjectaccessreviews", kind: "SubjectAccessReview", namespaced: false)

    private static func core(_ plural: String, _ kind: String, namespaced: Bool = true) -> ResourceType {
        ResourceType(plural: plural, kind: kind, namespaced: namespaced)
    }

    private static func apps(_ plural: String, _ kind: String) -> ResourceType {
        ResourceType(group: "apps", plural: plural, kind: kind)
    }

    private static func rbac(_ plural: String, _ kind: String, namespaced: Bool) -> ResourceType {
        ResourceType(group: "rbac.authorization.k8s.io", plural: plural, kind: kind, namespaced: namespaced)
    }
}

/// Percent-encoding for path segments and query values.
public enum URLText {
    private static let digits = Array("0123456789ABCDEF".utf8)

    public static func escape(_ text: String) -> String {
        if text.utf8.allSatisfy(isPlain) { return text }
        var out: [UInt8] = []
        for byte in text.utf8 {
            if isPlain(byte) {
                out.append(byte)
            } else {
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// RFC 3986's unreserved characters.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122: true
        default: "-._~".utf8.contains(byte)
        }
    }
}

/// The identity of an object within its type: `namespace/name`, or `name` where there is no namespace.
public enum ObjectKey {
    public static func make(namespace: String?, name: String) -> String {
        guard let namespace, !namespace.isEmpty else { return name }
        return "\(namespace)/\(name)"
    }

    public static func of(_ object: Document) -> String {
        make(namespace: object.text("metadata", "namespace"), name: object.text("metadata", "name") ?? "")
    }

    public static func split(_ key: String) -> (namespace: String?, name: String) {
        guard let slash = key.utf8.firstIndex(of: UInt8(ascii: "/")) else { return (nil, key) }
        return (String(key[..<slash]), String(key[key.utf8.index(after: slash)...]))
    }
}
