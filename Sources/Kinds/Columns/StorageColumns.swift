import Basics
import Document

enum StorageColumns {
    static func driver(_ driver: Document, now: Timestamp) -> [Document] {
        let spec = driver["spec"] ?? .emptyObject
        let audiences = spec.list("tokenRequests").map { $0.text("audience") ?? "" }
        let modes = spec.list("volumeLifecycleModes").compactMap(\.string)
        return [
            spec["attachRequired"] ?? true, spec["podInfoOnMount"] ?? false, spec["storageCapacity"] ?? false,
            spec["tokenRequests"] == nil ? "<unset>" : Document(audiences.joined(separator: ",")),
            spec["requiresRepublish"] ?? false,
            modes.isEmpty ? Cells.none : Document(modes.joined(separator: ",")), Cells.age(driver, now: now),
        ]
    }

    static func attachment(_ attachment: Document, now: Timestamp) -> [Document] {
        [
            attachment.at("spec", "attacher") ?? "", attachment.at("spec", "source", "persistentVolumeName") ?? "",
            attachment.at("spec", "nodeName") ?? "", attachment.at("status", "attached") ?? false,
            Cells.age(attachment, now: now),
        ]
    }
}
