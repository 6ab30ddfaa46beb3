import Document

/// Pods that come from the node itself have an image in the API, a mirror with a uid of its own. Here they go by the
/// uid that the node gave them.
enum PodIdentity {
    static let mirrorAnnotation = "kubernetes.io/config.mirror"
    static let sourceAnnotation = "kubernetes.io/config.source"
    static let hashAnnotation = "kubernetes.io/config.hash"

    static func isMirror(_ pod: Document) -> Bool { pod.at("metadata", "annotations", mirrorAnnotation) != nil }

    static func isStatic(_ pod: Document) -> Bool {
        let source = pod.text("metadata", "annotations", sourceAnnotation)
        return source == "file" || source == "http"
    }

    static func uid(_ pod: Document) -> String {
        pod.text("metadata", "annotations", mirrorAnnotation) ?? pod.text("metadata", "uid") ?? ""
    }
}
