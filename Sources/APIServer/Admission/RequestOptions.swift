import Document
import Kinds
import Schema

extension Call {
    /// The options of the request as admission shows them.
    func optionsDocument(_ operation: AdmissionContext.Operation) -> Document {
        if operation == .connect { return .null }
        if operation == .delete {
            guard let options = try? DeleteOptions(self) else { return .null }
            return options.document
        }
        let kind = operation == .create ? "CreateOptions" : "UpdateOptions"
        var result: Document = ["kind": Document(kind), "apiVersion": "meta.k8s.io/v1"]
        let dryRun = info.query.all("dryRun")
        if !dryRun.isEmpty { result["dryRun"] = Document(dryRun) }
        for field in ["fieldManager", "fieldValidation"] {
            if let value = info.query[field], !value.isEmpty { result[field] = Document(value) }
        }
        return result
    }
}

extension DeleteOptions {
    var document: Document {
        var result: Document = ["kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"]
        if let gracePeriodSeconds { result["gracePeriodSeconds"] = Document(gracePeriodSeconds) }
        if let uid { result.set(Document(uid), at: "preconditions", "uid") }
        if let resourceVersion { result.set(Document(resourceVersion), at: "preconditions", "resourceVersion") }
        if let orphanDependents { result["orphanDependents"] = Document(orphanDependents) }
        if let propagationPolicy { result["propagationPolicy"] = Document(propagationPolicy) }
        if dryRun { result["dryRun"] = ["All"] }
        return result
    }
}
