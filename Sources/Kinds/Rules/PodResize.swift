import Document
import Schema

extension Kinds {
    /// What is wrong with a pod after one of its subresources changed a part of it.
    public static func validatePart(
        _ new: Document, old: Document, resource: ResourceInfo, subresource: String
    ) -> [FieldError] {
        guard resource.group.isEmpty, resource.plural == "pods",
            ["ephemeralcontainers", "resize"].contains(subresource)
        else { return [] }
        let errors = PodValidation.spec(new["spec"] ?? .emptyObject, path: "spec", isTemplate: false)
        return subresource == "resize" && errors.isEmpty ? PodResize.check(new, old: old) : errors
    }
}

/// What a running pod's resources may become.
enum PodResize {
    static func check(_ new: Document, old: Document) -> [FieldError] {
        var errors: [FieldError] = []
        let quality = old.text("status", "qosClass") ?? ""
        if !quality.isEmpty, QualityOfService.of(new) != quality {
            errors.append(
                .invalid("spec", Document(quality), "Pod QOS Class may not change as a result of resizing"))
        }
        if others(new) != others(old) {
            errors.append(.forbidden("spec", "only cpu and memory resources are mutable"))
        }
        return errors
    }

    /// The resources that stay as they are.
    private static func others(_ pod: Document) -> [[String: String]] {
        ["initContainers", "containers"].flatMap { pod.list("spec", $0) }.flatMap { container in
            ["limits", "requests"].map { side in
                container.map("resources", side).filter { !["cpu", "memory"].contains($0.key) }
            }
        }
    }
}
