import Document
import Schema

/// What every object's metadata must satisfy.
public enum MetadataRules {
    static let annotationLimit = 256 * 1024

    static func validateCreate(
        _ object: Document, resource: ResourceInfo, nameSyntax: NameSyntax, plainFinalizers: Bool = false
    ) -> [FieldError] {
        let metadata = object["metadata"] ?? .emptyObject
        // What is only asked, never stored, needs no name.
        guard resource.verbs.contains("get") else { return common(metadata, nameSyntax, plainFinalizers) }
        var errors: [FieldError] = []
        if let generated = metadata.text("generateName"), !generated.isEmpty, nameSyntax != .dnsSubdomainWhole {
            // What is generated gets a suffix, so a separator at the end is no mistake.
            let probe = generated.last == "-" ? String(generated.dropLast()) + "a" : generated
            errors += nameSyntax.check(probe).map { .invalid("metadata.generateName", Document(generated), $0) }
        }
        let name = metadata.text("name") ?? ""
        if name.isEmpty {
            errors.append(.required("metadata.name", "name or generateName is required"))
        } else {
            errors += nameSyntax.check(name).map { .invalid("metadata.name", Document(name), $0) }
        }
        if resource.namespaced {
            let namespace = metadata.text("namespace") ?? ""
            if namespace.isEmpty {
                errors.append(.required("metadata.namespace"))
            } else {
                errors += Formats.dnsLabel(namespace).map { .invalid("metadata.namespace", Document(namespace), $0) }
            }
        } else if let namespace = metadata.text("namespace"), !namespace.isEmpty {
            errors.append(.forbidden("metadata.namespace", "not allowed on this type"))
        }
        return errors + common(metadata, nameSyntax, plainFinalizers)
    }

    /// Kinds that the generic part checks and their own rules do not check again. Of all others the server tells each
    /// mistake in the metadata twice, or as often as it has looked at it.
    private static let checkedOnce: Set = [
        "LimitRange", "PersistentVolume", "EndpointSlice", "PriorityLevelConfiguration", "FlowSchema",
        "PodDisruptionBudget", "CSINode", "VolumeAttachment", "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
    ]

    /// What is wrong with the metadata after an update, with the repetitions that clients of Kubernetes get to see.
    static func validateUpdate(
        _ new: Document, old: Document, nameSyntax: NameSyntax, plainFinalizers: Bool = false
    ) -> [FieldError] {
        let contents = common(new["metadata"] ?? .emptyObject, nameSyntax, plainFinalizers)
        let change = changes(new, old: old)
        if contents.isEmpty, change.isEmpty { return [] }
        let once = contents + change + contents
        return checkedOnce.contains(new.text("kind") ?? "") ? once : once + change + contents + contents
    }

    private static func changes(_ new: Document, old: Document) -> [FieldError] {
        let (metadata, before) = (new["metadata"] ?? .emptyObject, old["metadata"] ?? .emptyObject)
        var errors: [FieldError] = []
        for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"]
        where (metadata[field] ?? .null) != (before[field] ?? .null) {
            errors.append(.invalid("metadata." + field, metadata[field], "field is immutable"))
        }
        if before["deletionTimestamp"]?.string != nil {
            let known = Set(before.list("finalizers").compactMap(\.string))
            let added = metadata.list("finalizers").compactMap(\.string).filter { !known.contains($0) }.sorted()
            if !added.isEmpty {
                let names = added.map { Document($0).jsonText }.joined(separator: ", ")
                errors.append(
                    .forbidden(
                        "metadata.finalizers",
                        "no new finalizers can be added if the object is being deleted, found new finalizers "
                            + "[]string{\(names)}"))
            }
        }
        return errors
    }

    private static func common(
        _ metadata: Document, _ nameSyntax: NameSyntax, _ plainFinalizers: Bool, _ path: String = "metadata"
    ) -> [FieldError] {
        labels(metadata["labels"], path + ".labels") + annotations(metadata["annotations"], path + ".annotations")
            + owners(metadata.list("ownerReferences"), path + ".ownerReferences")
            + (nameSyntax == .anything
                ? [] : finalizers(metadata.list("finalizers"), path + ".finalizers", plain: plainFinalizers))
    }

    /// The metadata of an object inside another one. Nothing has to be there, since the object does not exist yet.
    static func embedded(_ metadata: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if let generated = metadata.text("generateName") {
            // Only a part of a name, which may be a dot.
            errors += Formats.pathSegment(generated + "x").map {
                .invalid(path + ".generateName", Document(generated), $0)
            }
        }
        if let name = metadata.text("name") {
            errors += Formats.pathSegment(name).map { .invalid(path + ".name", Document(name), $0) }
        }
        if let namespace = metadata.text("namespace"), !namespace.isEmpty {
            errors += Formats.dnsLabel(namespace).map { .invalid(path + ".namespace", Document(namespace), $0) }
        }
        if let generation = metadata.number("generation"), generation < 0 {
            let text = "must be greater than or equal to 0"
            errors.append(.invalid(path + ".generation", Document(generation), text))
        }
        return errors + common(metadata, .pathSegment, true, path)
    }

    /// Keys and values of labels.
    public static func labels(_ labels: Document?, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for member in (labels?.members ?? []).sorted(by: { $0.key < $1.key }) {
            errors += Formats.qualifiedName(member.key).map { .invalid(path, Document(member.key), $0) }
            errors += Formats.labelValue(member.value.string ?? "").map { .invalid(path, member.value, $0) }
        }
        return errors
    }

    public static func annotations(_ annotations: Document?, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        var size = 0
        for member in (annotations?.members ?? []).sorted(by: { $0.key < $1.key }) {
            errors += Formats.qualifiedName(member.key.lowercased()).map { .invalid(path, Document(member.key), $0) }
            size += member.key.utf8.count + (member.value.string?.utf8.count ?? 0)
        }
        if size > annotationLimit { errors.append(.tooLong(path, limit: annotationLimit)) }
        return errors
    }

    private static func owners(_ owners: [Document], _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for owner in owners {
            let version = owner.text("apiVersion") ?? ""
            if version.isEmpty || version.split(separator: "/", omittingEmptySubsequences: false).count > 2 {
                errors.append(.invalid(path + ".apiVersion", Document(version), "version must not be empty"))
            }
            for field in ["kind", "name", "uid"] where owner.text(field)?.isEmpty ?? true {
                errors.append(.invalid("\(path).\(field)", "", "must not be empty"))
            }
            if version == "v1", owner.text("kind") == "Event" {
                errors.append(.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
            }
        }
        let controllers = owners.filter { $0.flag("controller") == true }
        if controllers.count > 1 {
            let names = controllers.map { "\($0.text("kind") ?? "")/\($0.text("name") ?? "")" }
            errors.append(
                .invalid(
                    path, Document(owners),
                    "Only one reference can have Controller set to true. Found \"true\" in references for "
                        + names.joined(separator: " and ")))
        }
        return errors
    }

    /// Of some kinds, writers of the status may not change what the metadata says either.
    static func keepForStatus(_ new: inout Document, old: Document) {
        for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
            new.set(old.at("metadata", field), at: "metadata", field)
        }
    }

    private static let standardFinalizers: Set = ["kubernetes", "orphan", "foregroundDeletion"]

    private static func finalizers(_ finalizers: [Document], _ path: String, plain: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, finalizer) in finalizers.enumerated() {
            let here = "\(path)[\(index)]"
            let name = finalizer.string ?? ""
            let syntax = Formats.qualifiedName(name)
            errors += syntax.map { .invalid(here, finalizer, $0) }
            if !plain, syntax.isEmpty, !name.contains("/"), !standardFinalizers.contains(name) {
                errors.append(
                    .invalid(here, finalizer, "name is neither a standard finalizer name nor is it fully qualified"))
            }
        }
        return errors
    }

    /// A label selector's keys, operators and values.
    static func labelSelector(_ selector: Document?, _ path: String) -> [FieldError] {
        guard let selector, selector.isObject else { return [] }
        var errors = labels(selector["matchLabels"], path + ".matchLabels")
        for (index, expression) in selector.list("matchExpressions").enumerated() {
            let here = "\(path).matchExpressions[\(index)]"
            let values = expression.list("values")
            switch expression.text("operator") ?? "" {
            case "In", "NotIn":
                if values.isEmpty {
                    errors.append(.required(here + ".values", "must be specified when `operator` is 'In' or 'NotIn'"))
                }
            case "Exists", "DoesNotExist":
                if !values.isEmpty {
                    errors.append(
                        .forbidden(
                            here + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
                }
            default:
                errors.append(.invalid(here + ".operator", expression["operator"], "not a valid selector operator"))
            }
            let key = expression.text("key") ?? ""
            errors += Formats.qualifiedName(key).map { .invalid(here + ".key", Document(key), $0) }
            for (place, value) in values.enumerated() {
                errors += Formats.labelValue(value.string ?? "").map { .invalid("\(here).values[\(place)]", value, $0) }
            }
        }
        return errors
    }
}
