import Document

/// An image that is ready to run: its configuration, and its layers as directories.
public struct Image: Sendable {
    /// Digest of the image's configuration, `sha256:…`: what Docker calls the image ID.
    public var id: String
    /// Digest of its manifest.
    public var digest: String
    /// Full references that name it, such as `docker.io/library/nginx:1.27`.
    public var names: [String]
    /// Where registries have it: `docker.io/library/nginx@sha256:…`.
    public var repoDigests: [String]
    /// Sum of the compressed layers, as manifests count it.
    public var size: Int64
    /// Unpacked layers, the topmost first: the order of overlayfs's `lowerdir`.
    public var layerDirectories: [String]
    /// The `config` member of the image's configuration (Entrypoint, Cmd, Env, User, WorkingDir, StopSignal…).
    public var config: Document

    public init(
        id: String, digest: String, names: [String], size: Int64, layerDirectories: [String], config: Document,
        repoDigests: [String] = []
    ) {
        self.id = id
        self.digest = digest
        self.names = names
        self.repoDigests = repoDigests
        self.size = size
        self.layerDirectories = layerDirectories
        self.config = config
    }
}
