import Document

/// One blob that a manifest names.
struct Descriptor: Sendable {
    var digest: Digest
    var size: Int64
    var mediaType: String

    init(digest: Digest, size: Int64, mediaType: String) {
        self.digest = digest
        self.size = size
        self.mediaType = mediaType
    }

    init(_ document: Document, in object: String) throws(ImageError) {
        guard let text = document.text("digest"), let digest = Digest(text) else {
            throw ImageError(object, "the digest \"\(document.text("digest") ?? "")\" is no sha256 digest")
        }
        guard let size = document.number("size"), size >= 0 else { throw ImageError(object, "\(digest) has no size") }
        self.init(digest: digest, size: Int64(size), mediaType: document.text("mediaType") ?? "")
    }

    var document: Document {
        ["mediaType": Document(mediaType), "digest": Document(digest.description), "size": Document(size)]
    }
}

/// An image's manifest: OCI's and Docker's have the same members.
struct Manifest: Sendable {
    static let mediaType = "application/vnd.oci.image.manifest.v1+json"
    static let mostLayers = 500

    var config: Descriptor
    var layers: [Descriptor]

    init(config: Descriptor, layers: [Descriptor]) {
        self.config = config
        self.layers = layers
    }

    init(_ document: Document, in object: String) throws(ImageError) {
        guard let config = document["config"] else { throw ImageError(object, "the manifest names no configuration") }
        self.config = try Descriptor(config, in: object)
        let listed = document.list("layers")
        guard listed.count <= Self.mostLayers else {
            throw ImageError(object, "\(listed.count) layers; at most \(Self.mostLayers) are allowed")
        }
        layers = []
        for layer in listed { layers.append(try Descriptor(layer, in: object)) }
    }

    var document: Document {
        [
            "schemaVersion": 2, "mediaType": Document(Self.mediaType), "config": config.document,
            "layers": Document(layers.map(\.document)),
        ]
    }

    /// An index names manifests instead of layers. The media type may be absent, the members tell.
    static func isIndex(_ document: Document) -> Bool { document["manifests"]?.isArray ?? false }
}

/// An image's configuration: what Docker calls the image itself.
struct ImageConfiguration: Sendable {
    var diffIDs: [Digest]
    var config: Document

    init(_ document: Document, in object: String) throws(ImageError) {
        diffIDs = []
        for text in document.list("rootfs", "diff_ids") {
            guard let digest = text.string.flatMap({ Digest($0) }) else {
                throw ImageError(object, "the configuration's diff_ids hold \(text.jsonText), no sha256 digest")
            }
            diffIDs.append(digest)
        }
        config = document["config"] ?? .emptyObject
    }
}

/// The machine that an image is for.
struct Platform: Sendable, CustomStringConvertible {
    var os: String
    var architecture: String

    #if arch(arm64)
        static let here = Platform(os: "linux", architecture: "arm64")
    #else
        static let here = Platform(os: "linux", architecture: "amd64")
    #endif

    var description: String { "\(os)/\(architecture)" }

    /// How well an index entry fits: nil for another machine's. An entry that says nothing fits, but worse.
    func fit(_ entry: Document) -> Int? {
        guard let os = entry.text("platform", "os"), let architecture = entry.text("platform", "architecture") else {
            return entry["platform"] == nil ? 0 : nil
        }
        return os == self.os && architecture == self.architecture ? 1 : nil
    }
}
