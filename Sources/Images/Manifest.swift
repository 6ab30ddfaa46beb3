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
    static let dockerMediaType = "application/vnd.docker.distribution.manifest.v2+json"
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

    /// The type of a manifest that does not say its own: its parts tell.
    static func impliedMediaType(_ document: Document) -> String {
        let config = document.text("config", "mediaType") ?? ""
        return config.hasPrefix("application/vnd.docker.") ? dockerMediaType : mediaType
    }

    /// An index names manifests instead of layers. The media type may be absent, the members tell.
    static func isIndex(_ document: Document) -> Bool { document["manifests"]?.isArray ?? false }
}

/// An image's configuration: what Docker calls the image itself.
struct ImageConfiguration: Sendable {
    var diffIDs: [Digest]
    var config: Document
    /// Nil where the configuration does not say it.
    var platform: Platform?

    init(_ document: Document, in object: String) throws(ImageError) {
        diffIDs = []
        for text in document.list("rootfs", "diff_ids") {
            guard let digest = text.string.flatMap({ Digest($0) }) else {
                throw ImageError(object, "the configuration's diff_ids hold \(text.jsonText), no sha256 digest")
            }
            diffIDs.append(digest)
        }
        config = document["config"] ?? .emptyObject
        if let os = document.text("os"), !os.isEmpty, let architecture = document.text("architecture") {
            platform = Platform(os: os, architecture: architecture, variant: document.text("variant"))
        }
    }
}

/// The machine that an image is for.
struct Platform: Sendable, CustomStringConvertible {
    var os: String
    var architecture: String
    /// Such as `v8`; nil for the architecture's usual one.
    var variant: String?

    #if arch(arm64)
        static let here = Platform(os: "linux", architecture: "arm64", variant: "v8")
    #else
        static let here = Platform(os: "linux", architecture: "amd64")
    #endif

    init(os: String, architecture: String, variant: String? = nil) {
        self.os = os
        self.architecture = architecture
        self.variant = variant
    }

    /// `linux/arm64`, `linux/arm/v7`, or an architecture alone.
    init(_ text: String) throws(ImageError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count), !parts.contains(where: \.isEmpty) else {
            throw ImageError("platform \"\(text)\"", "write it like linux/amd64")
        }
        let names = ["x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"]
        let architecture = parts.count == 1 ? parts[0] : parts[1]
        self.init(
            os: parts.count == 1 ? "linux" : parts[0], architecture: names[architecture] ?? architecture,
            variant: parts.count == 3 ? parts[2] : nil)
    }

    var description: String { "\(os)/\(architecture)" + (variant.map { "/\($0)" } ?? "") }

    /// How well an index entry fits: nil for another machine's. An entry that says nothing fits, but worse.
    func fit(_ entry: Document) -> Int? {
        guard let os = entry.text("platform", "os"), let architecture = entry.text("platform", "architecture") else {
            return entry["platform"] == nil ? 0 : nil
        }
        guard os == self.os, architecture == self.architecture else { return nil }
        guard let theirs = entry.text("platform", "variant"), !theirs.isEmpty else { return 2 }
        guard let variant else { return architecture == "amd64" ? 1 : 3 }
        // An older variant's programs run on a newer machine, not the other way round.
        if theirs == variant { return 4 }
        return theirs < variant ? 1 : nil
    }

    /// The entry that fits best, the first of equals; what is no image of a machine (an attestation, say) never fits.
    func best(of entries: [Document]) -> Document? {
        var best: (entry: Document, fit: Int)?
        for entry in entries {
            guard let fit = fit(entry), fit > best?.fit ?? -1 else { continue }
            best = (entry, fit)
        }
        return best?.entry
    }

    static func name(of entry: Document) -> String? {
        guard let os = entry.text("platform", "os"), os != "unknown" else { return nil }
        return Platform(
            os: os, architecture: entry.text("platform", "architecture") ?? "?",
            variant: entry.text("platform", "variant")
        ).description
    }
}
