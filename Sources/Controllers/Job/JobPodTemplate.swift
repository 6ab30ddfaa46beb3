import Client
import Document

/// The pods that a job makes.
struct JobPodTemplate {
    let job: Document
    private let pod: Document
    private let isIndexed: Bool

    /// The longest beginning of a name to which the server adds a suffix.
    private static let longestPrefix = 58
    private static let indexVariable = "JOB_COMPLETION_INDEX"

    init(_ job: Document, isIndexed: Bool) {
        self.job = job
        self.isIndexed = isIndexed
        let template = job.at("spec", "template") ?? .emptyObject
        var metadata = Document.emptyObject
        metadata["generateName"] = Document(job.name + "-")
        metadata["namespace"] = job.at("metadata", "namespace")
        for field in ["labels", "annotations"] { metadata[field] = template.at("metadata", field) }
        let finalizers = template.finalizers.filter { $0 != JobPod.finalizer } + [JobPod.finalizer]
        metadata["finalizers"] = Document(finalizers)
        metadata["ownerReferences"] = [Self.owner(job)]
        var spec = template["spec"] ?? .emptyObject
        if isIndexed {
            for field in ["initContainers", "containers"] where spec[field]?.isArray == true {
                spec[field] = Document(spec.list(field).map(Self.tellingIndex))
            }
        }
        pod = ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec]
    }

    static func owner(_ job: Document) -> Document {
        job.controllerReference(kind: "Job", apiVersion: "batch/v1")
    }

    func pods(_ count: Int) -> [Document] { Array(repeating: pod, count: count) }

    /// - Parameters:
    ///   - predecessor: the failed pod of the same index that it replaces.
    ///   - countsFailures: whether the pods of an index hand on how many of them have failed.
    func pod(index: Int, replacing predecessor: JobPod?, countsFailures: Bool, policy: Document?) -> Document {
        var pod = pod
        let text = Document(String(index))
        pod.set(text, at: "metadata", "annotations", JobPod.indexKey)
        pod.set(text, at: "metadata", "labels", JobPod.indexKey)
        pod.set(Document("\(job.name)-\(index)"), at: "spec", "hostname")
        let ending = "-\(index)-"
        let beginning = job.name.utf8.prefix(max(0, Self.longestPrefix - ending.utf8.count))
        pod.set(Document("\(Substring(beginning))\(ending)"), at: "metadata", "generateName")
        if countsFailures {
            var (failures, ignored) = (predecessor?.failureCount ?? 0, predecessor?.ignoredFailureCount ?? 0)
            if let predecessor {
                if PodFailureVerdict(policy, pod: predecessor.document).counts { failures += 1 } else { ignored += 1 }
            }
            pod.set(Document(String(failures)), at: "metadata", "annotations", JobPod.failureCountKey)
            if ignored > 0 {
                pod.set(Document(String(ignored)), at: "metadata", "annotations", JobPod.ignoredFailureCountKey)
            }
        }
        return pod
    }

    private static func tellingIndex(_ container: Document) -> Document {
        var container = container
        let variables = container.list("env")
        if variables.contains(where: { $0.text("name") == indexVariable }) { return container }
        let field = "metadata.labels['\(JobPod.indexKey)']"
        let variable: Document = [
            "name": Document(indexVariable), "valueFrom": ["fieldRef": ["fieldPath": Document(field)]],
        ]
        container["env"] = Document(variables + [variable])
        return container
    }
}
