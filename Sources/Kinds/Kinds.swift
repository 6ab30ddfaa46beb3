import Basics
import Document
import Schema

public typealias Quantity = Schema.Quantity
public typealias FieldError = Schema.FieldError
public typealias ResourceInfo = Schema.ResourceInfo
public typealias Registry = Schema.Registry

/// Every built-in kind of the API.
public enum Kinds {
    /// The groups in the order of discovery. A group's text is parsed when something of it is first asked for.
    public static let registry = Registry(groups: [
        .coreV1,
        .apiregistrationV1,
        .appsV1,
        .eventsV1,
        .authenticationV1,
        .authorizationV1,
        .autoscalingV2,
        .autoscalingV1,
        .batchV1,
        .networkingV1,
        .policyV1,
        .rbacV1,
        .storageV1,
        .schedulingV1,
        .coordinationV1,
        .admissionRegistrationV1,
        .nodeV1,
        .apiextensionsV1,
        .discoveryV1,
        .certificatesV1,
        .resourceV1,
        .flowControlV1,
        .metaV1,
        .metaV1Options,
        .coreV1Options,
        .admissionV1,
        .apidiscoveryV2,
        .metricsV1beta1,
    ])

    /// Groups that a server offers only where it is told to.
    public static let optionalGroups: Set = ["metrics.k8s.io"]

    /// Brings an object of `resource` into its complete form: what the schema says, then the kind's own defaults.
    public static func applyDefaults(to object: inout Document, resource: ResourceInfo) {
        registry.applyDefaults(to: &object, type: resource.type)
        if !resource.namespaced, object.at("metadata", "namespace") != nil {
            object.set(nil, at: "metadata", "namespace")
        }
        rules(for: resource).applyDefaults(&object)
    }

    /// Everything that is wrong with a new object, after defaulting: metadata, then the schema, then the kind's rules.
    public static func validateCreate(_ object: Document, resource: ResourceInfo) -> [FieldError] {
        let rules = rules(for: resource)
        return MetadataRules.validateCreate(
            object, resource: resource, nameSyntax: rules.nameSyntax, plainFinalizers: rules.plainFinalizers)
            + registry.validate(object, type: resource.type) + rules.validateCreate(object) + rules.validateNew(object)
    }

    /// Everything that is wrong with the change from `old` to `new`, both complete.
    public static func validateUpdate(_ new: Document, old: Document, resource: ResourceInfo) -> [FieldError] {
        let rules = rules(for: resource)
        var errors = MetadataRules.validateUpdate(
            new, old: old, nameSyntax: rules.nameSyntax, plainFinalizers: rules.plainFinalizers)
        if resource.custom != nil {
            return errors + registry.validateUpdate(new, old: old, type: resource.type) + rules.validateCreate(new)
                + rules.validateUpdate(new, old)
        }
        let whole = registry.validate(new, type: resource.type) + rules.validateCreate(new)
        errors += whole
        if rules.checksUpdatesTwice { errors += whole }
        return errors + registry.validateImmutable(new, old: old, type: resource.type) + rules.validateUpdate(new, old)
    }

    /// Everything that is wrong with a write of the status, when all but the status was taken from `old`.
    public static func validateStatusUpdate(_ new: Document, old: Document, resource: ResourceInfo) -> [FieldError] {
        let rules = rules(for: resource)
        return MetadataRules.validateUpdate(
            new, old: old, nameSyntax: rules.nameSyntax, plainFinalizers: rules.plainFinalizers)
            + registry.validate(field: "status", of: new, type: resource.type) + rules.validateStatusUpdate(new, old)
    }

    public static func rules(for resource: ResourceInfo) -> KindRules {
        if let custom = resource.custom { return .custom(resource, custom) }
        guard let rules = allRules[resource.apiVersion]?[resource.kind] else { return KindRules() }
        return rules
    }

    private static let allRules: [String: [String: KindRules]] = [
        "v1": [
            "Pod": .pod,
            "PodTemplate": .podTemplate,
            "Service": .service,
            "Namespace": .namespace,
            "Node": .node,
            "ConfigMap": .configMap,
            "Secret": .secret,
            "ServiceAccount": .serviceAccount,
            "Endpoints": .endpoints,
            "Event": .event,
            "PersistentVolume": .persistentVolume,
            "PersistentVolumeClaim": .persistentVolumeClaim,
            "ReplicationController": .replicationController,
            "LimitRange": .limitRange,
            "ResourceQuota": .resourceQuota,
            "ComponentStatus": .componentStatus,
        ],
        "apps/v1": [
            "ControllerRevision": .controllerRevision,
            "DaemonSet": .daemonSet,
            "StatefulSet": .statefulSet,
            "Deployment": .deployment,
            "ReplicaSet": .replicaSet,
        ],
        "networking.k8s.io/v1": [
            "Ingress": .ingress, "IngressClass": .ingressClass, "NetworkPolicy": .networkPolicy,
            "IPAddress": .ipAddress, "ServiceCIDR": .serviceCIDR,
        ],
        "storage.k8s.io/v1": [
            "StorageClass": .storageClass, "VolumeAttachment": .volumeAttachment, "CSIDriver": .csiDriver,
            "CSINode": .csiNode, "CSIStorageCapacity": .csiStorageCapacity,
            "VolumeAttributesClass": .volumeAttributesClass,
        ],
        "node.k8s.io/v1": ["RuntimeClass": .runtimeClass],
        "batch/v1": ["Job": .job, "CronJob": .cronJob],
        "metrics.k8s.io/v1beta1": ["NodeMetrics": .nodeMetrics, "PodMetrics": .podMetrics],
        "autoscaling/v2": ["HorizontalPodAutoscaler": .autoscaler],
        "autoscaling/v1": ["HorizontalPodAutoscaler": .olderAutoscaler],
        "policy/v1": ["PodDisruptionBudget": .podDisruptionBudget],
        "discovery.k8s.io/v1": ["EndpointSlice": .endpointSlice],
        "coordination.k8s.io/v1": ["Lease": .lease],
        "scheduling.k8s.io/v1": ["PriorityClass": .priorityClass],
        "events.k8s.io/v1": ["Event": .strictEvent],
        "apiextensions.k8s.io/v1": ["CustomResourceDefinition": .customResourceDefinition],
        "apiregistration.k8s.io/v1": ["APIService": .apiService],
        "admissionregistration.k8s.io/v1": [
            "MutatingWebhookConfiguration": .mutatingWebhookConfiguration,
            "ValidatingWebhookConfiguration": .validatingWebhookConfiguration,
            "MutatingAdmissionPolicy": .mutatingAdmissionPolicy,
            "MutatingAdmissionPolicyBinding": .mutatingAdmissionPolicyBinding,
            "ValidatingAdmissionPolicy": .validatingAdmissionPolicy,
            "ValidatingAdmissionPolicyBinding": .validatingAdmissionPolicyBinding,
        ],
        "certificates.k8s.io/v1": ["CertificateSigningRequest": .certificateSigningRequest],
        "resource.k8s.io/v1": [
            "DeviceClass": .deviceClass, "ResourceClaim": .resourceClaim,
            "ResourceClaimTemplate": .resourceClaimTemplate, "ResourceSlice": .resourceSlice,
        ],
        "flowcontrol.apiserver.k8s.io/v1": [
            "FlowSchema": .flowSchema, "PriorityLevelConfiguration": .priorityLevel,
        ],
        "rbac.authorization.k8s.io/v1": [
            "Role": .role, "ClusterRole": .clusterRole, "RoleBinding": .roleBinding,
            "ClusterRoleBinding": .clusterRoleBinding,
        ],
    ]
}

/// What the rules may know besides the object.
public struct RuleContext: Sendable {
    public var now: Timestamp
    /// Makes a unique identity.
    public var identity: @Sendable () -> String

    /// Tells the client something besides the answer.
    public var warn: @Sendable (String) -> Void

    public init(
        now: Timestamp, identity: @escaping @Sendable () -> String = { "" },
        warn: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.now = now
        self.identity = identity
        self.warn = warn
    }
}

/// How a kind's objects may be named.
public enum NameSyntax: Sendable {
    case dnsSubdomain, dnsLabel, pathSegment
    /// A subdomain of which only the whole name is looked at, not the part that it was generated from.
    case dnsSubdomainWhole
    /// An address in its shortest form.
    case ip
    /// Nothing is demanded, not even of the finalizers: events have to get through.
    case anything

    func check(_ name: String) -> [String] {
        switch self {
        case .dnsSubdomain: Formats.dnsSubdomain(name)
        // The newer checks count bytes in their messages.
        case .dnsSubdomainWhole:
            Formats.dnsSubdomain(name).map { $0.hasSuffix(" characters") ? $0.dropLast(10) + "bytes" : $0 }
        case .dnsLabel: Formats.dnsLabel(name)
        case .anything: []
        case .pathSegment: Formats.pathSegment(name)
        case .ip: AddressSyntax.address(name, canonical: true).map { [$0] } ?? []
        }
    }
}

/// A subresource besides status that changes a part of the object.
public struct PartRules: Sendable {
    /// Makes the new object from what the client sent, the old object and the time.
    public var prepare: @Sendable (inout Document, Document, RuleContext) -> Void
    /// What must hold between the new object and the old one.
    public var validate: @Sendable (Document, Document) -> [FieldError]
}

/// What a kind demands that its declaration cannot say. Each part does nothing unless the kind gives it.
public struct KindRules: Sendable {
    public var nameSyntax = NameSyntax.dnsSubdomain
    /// Whether finalizers need no domain, as upstream has it for the kinds that its generic server validates.
    public var plainFinalizers = false
    /// Defaults that depend on other fields; the schema's defaults are there already.
    public var applyDefaults: @Sendable (inout Document) -> Void = { _ in }
    /// Brings a new object into the form in which it is stored: what clients may not set is reset.
    public var prepareForCreate: @Sendable (inout Document, RuleContext) -> Void = { _, _ in }
    public var prepareForUpdate: @Sendable (inout Document, Document, RuleContext) -> Void = { _, _, _ in }
    /// Before a write of the status subresource, after everything but status was taken from the old object.
    public var prepareForStatusUpdate: @Sendable (inout Document, Document, RuleContext) -> Void = { _, _, _ in }
    /// What must hold for a new object only.
    public var validateNew: @Sendable (Document) -> [FieldError] = { _ in [] }
    /// What must hold for any object, new or changed.
    public var validateCreate: @Sendable (Document) -> [FieldError] = { _ in [] }
    /// What must hold between the old object and the new one, beyond `validateCreate`.
    public var validateUpdate: @Sendable (Document, Document) -> [FieldError] = { _, _ in [] }
    /// Whether upstream checks a changed object as a whole twice, and says twice what is wrong.
    public var checksUpdatesTwice = false
    public var validateStatusUpdate: @Sendable (Document, Document) -> [FieldError] = { _, _ in [] }
    /// The subresources that change parts of the object in the kind's own way.
    public var parts: [String: PartRules] = [:]
    /// What the writer should know although the object is accepted; the old object is nil for a new one.
    public var warnings: @Sendable (Document, Document?) -> [String] = { _, _ in [] }
    /// The status subresource cannot be shown as a table.
    public var statusHasNoTable = false
    /// The fields besides metadata.name and metadata.namespace that field selectors may name, with their values.
    public var selectableFields: @Sendable (Document) -> [(String, String)] = { _ in [] }
    /// How a field selector is refused that names another field.
    public var unknownField: @Sendable (String) -> String = { "field label not supported: \($0)" }
    /// The first cell of a table row, where it shows more than the name.
    public var nameCell: (@Sendable (Document) -> Document)?
    /// The cells of a table row after the name, in the order of the kind's columns; nil for kinds without own cells.
    public var cells: (@Sendable (Document, Timestamp) -> [Document])?
}
