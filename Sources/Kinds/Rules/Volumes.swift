import Document
import Schema

extension KindRules {
    static let persistentVolume: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { volume, _ in volume["status"] = ["phase": "Pending"] }
        rules.prepareForUpdate = { volume, old, _ in volume["status"] = old["status"] }
        rules.validateCreate = { volume in
            var errors: [FieldError] = []
            if volume.at("spec", "capacity", "storage") == nil { errors.append(.required("spec.capacity")) }
            if volume.list("spec", "accessModes").isEmpty { errors.append(.required("spec.accessModes")) }
            return errors
        }
        rules.cells = { VolumeColumns.volume($0, now: $1) }
        return rules
    }()

    static let persistentVolumeClaim: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { claim, _ in claim["status"] = ["phase": "Pending"] }
        rules.prepareForUpdate = { claim, old, _ in claim["status"] = old["status"] }
        rules.validateCreate = { claim in
            var errors: [FieldError] = []
            if claim.list("spec", "accessModes").isEmpty {
                errors.append(.required("spec.accessModes", "at least 1 access mode is required"))
            }
            if claim.at("spec", "resources", "requests", "storage") == nil {
                errors.append(.required("spec.resources[storage]"))
            }
            return errors
        }
        rules.cells = { VolumeColumns.claim($0, now: $1) }
        return rules
    }()
}
