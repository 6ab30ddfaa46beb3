import Basics
import Images
import Kubelet
import Linux

/// The content store as the kubelet asks for images: shared with all nodes, and filled by the image service.
struct StoreImages: ImageSource {
    let store: ImageStore
    /// Under which this node's uses are filed.
    let owner: String
    let blocking: BlockingPool
    let service: ImageServiceClient

    func resolve(_ reference: String) async throws -> Image? {
        try await blocking.run { try store.resolve(reference) }
    }

    func list() async throws -> [Image] { try await blocking.run { try store.list() } }

    func pull(_ reference: String, credentials: CredentialSet) async throws -> Image {
        let digest = try await service.pull(reference, credentials: credentials)
        guard let image = try await resolve(digest) else {
            throw ImageError(reference, "was removed from the store right after it was pulled")
        }
        return image
    }

    func use(_ image: Image, pod uid: String) async throws {
        try await blocking.run { try store.use(image, owner: owner, user: uid) }
    }

    func release(pod uid: String) async throws {
        try await blocking.run { try store.release(owner: owner, user: uid) }
    }

    func retain(pods: Set<String>) async throws {
        try await blocking.run { try store.retain(owner: owner, users: pods) }
    }

    func space() async throws -> StoreSpace? { try await blocking.run { store.space } }

    func collect(bytes: Int64, unusedSince limit: Timestamp) async throws -> PruneOutcome {
        try await blocking.run { try store.collect(bytes, unusedSince: limit) }
    }
}
