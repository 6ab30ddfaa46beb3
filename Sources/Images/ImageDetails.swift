import Document

/// An image with the documents that it is made of.
public struct ImageDetails: Sendable {
    public var image: Image
    public var manifest: Document
    /// The whole configuration: history, platform and layers beside what a container is started with.
    public var configuration: Document
}

extension ImageStore {
    /// Nil where the store has no such image.
    public func details(_ reference: String) throws -> ImageDetails? {
        guard let image = try resolve(reference), let digest = Digest(image.digest), let id = Digest(image.id) else {
            return nil
        }
        return ImageDetails(
            image: image, manifest: try content.document(digest, for: reference),
            configuration: try content.document(id, for: reference))
    }
}
