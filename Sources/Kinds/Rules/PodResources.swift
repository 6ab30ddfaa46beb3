import Document
import Schema

/// Resources of a pod as a whole, and the claims that its containers use.
enum PodResources {
    private static let names = ["cpu", "hugepages-", "memory"]

    static func check(_ spec: Document, _ path: String) -> [FieldError] {
        guard let resources = spec["resources"], resources.isObject else { return [] }
        let here = path + ".resources"
        var errors: [FieldError] = []
        for side in ["limits", "requests"] {
            for member in resources[side]?.members ?? []
            where !["cpu", "memory"].contains(member.key) && !member.key.hasPrefix("hugepages-") {
                errors.append(.notSupported("\(here).\(side)[\(member.key)]", Document(member.key), names))
            }
        }
        if !errors.isEmpty { return errors }
        errors += ResourceValidation.check(resources, here)
        for member in resources["requests"]?.members ?? [] {
            guard let own = ResourceValidation.quantity(member.value) else { continue }
            let sum = requests(spec, member.key)
            if sum > own {
                errors.append(
                    .invalid(
                        "\(here).requests[\(member.key)]", Document(own.description),
                        "must be greater than or equal to aggregate container requests of \(sum)"))
            }
        }
        for field in ["containers", "initContainers"] {
            for (index, container) in spec.list(field).enumerated() {
                errors += against(resources, container, "\(path).\(field)[\(index)].resources.limits")
            }
        }
        return errors
    }

    private static func against(_ resources: Document, _ container: Document, _ path: String) -> [FieldError] {
        ["cpu", "memory"].compactMap { name in
            guard let own = resources.at("limits", name).flatMap(ResourceValidation.quantity),
                let limit = container.at("resources", "limits", name).flatMap(ResourceValidation.quantity), limit > own
            else { return nil }
            return .invalid(
                "\(path)[\(name)]", Document(limit.description), "must be less than or equal to pod limits of \(own)")
        }
    }

    /// What the containers ask for at most at one time: those that start before the others run one by one.
    private static func requests(_ spec: Document, _ name: String) -> Quantity {
        func amount(_ container: Document) -> Quantity {
            container.at("resources", "requests", name).flatMap(ResourceValidation.quantity) ?? .zero
        }
        var beside = Quantity.zero
        var most = Quantity.zero
        for container in spec.list("initContainers") {
            if container.text("restartPolicy") == "Always" {
                beside += amount(container)
                most = max(most, beside)
            } else {
                most = max(most, beside + amount(container))
            }
        }
        return max(most, spec.list("containers").map(amount).reduce(beside, +))
    }

    static func claims(_ claims: [Document], of names: [String], _ container: String) -> [FieldError] {
        var errors: [FieldError] = []
        var seen: Set<[String]> = []
        for (index, claim) in claims.enumerated() {
            let here = "\(container).resources.claims[\(index)]"
            let name = claim.text("name") ?? ""
            if name.isEmpty {
                errors.append(.required(here))
                continue
            }
            let request = claim.text("request") ?? ""
            if !seen.insert([name, request]).inserted {
                errors.append(.duplicate(here, Document(request.isEmpty ? name : "\(name)/\(request)")))
            }
            if !names.contains(name) {
                var error = FieldError.notFound(here, Document(name))
                error.detail =
                    "must be one of the names in pod.spec.resourceClaims"
                    + (names.isEmpty ? " which is empty" : ": " + names.sorted().joined(separator: ", "))
                errors.append(error)
            }
        }
        return errors
    }
}
