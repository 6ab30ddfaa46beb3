import CArchive
import Document
import Glibc
import Linux

@testable import Images

let isRoot = geteuid() == 0

/// A directory of one test.
final class Scratch: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/lab-images.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", errno: errno) }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { try? Files.removeTree(path) }

    func store() throws -> ImageStore { try ImageStore(root: "\(path)/store") }

    func tar(_ name: String, _ entries: [(ArchiveEntry, [UInt8])]) throws -> String {
        let file = "\(path)/\(name)"
        let writer = try ArchiveWriter(file)
        for (entry, content) in entries { try writer.add(entry, content) }
        try writer.finish()
        return file
    }
}

func file(_ path: String, _ text: String = "", mode: mode_t = 0o644) -> (ArchiveEntry, [UInt8]) {
    (ArchiveEntry(path: path, kind: .file, mode: mode), Array(text.utf8))
}

func entry(
    _ path: String, _ kind: ArchiveEntry.Kind, target: String = "", mode: mode_t = 0o755
) -> (ArchiveEntry, [UInt8]) {
    (ArchiveEntry(path: path, kind: kind, target: target, mode: mode), [])
}

enum Compression {
    case none, gzip, zstd

    var mediaType: String {
        let plain = "application/vnd.oci.image.layer.v1.tar"
        return switch self {
        case .none: plain
        case .gzip: plain + "+gzip"
        case .zstd: plain + "+zstd"
        }
    }
}

/// Compresses bytes as other tools do.
func compress(_ bytes: [UInt8], _ compression: Compression) throws -> [UInt8] {
    guard compression != .none, let archive = archive_write_new() else { return bytes }
    defer { archive_write_free(archive) }
    archive_write_set_format_raw(archive)
    if compression == .gzip { archive_write_add_filter_gzip(archive) } else { archive_write_add_filter_zstd(archive) }
    var out = [UInt8](repeating: 0, count: bytes.count + 65_536)
    var used = 0
    let entry = archive_entry_new()
    defer { archive_entry_free(entry) }
    archive_entry_set_filetype(entry, 0o100000)
    out.withUnsafeMutableBytes { buffer in
        archive_write_open_memory(archive, buffer.baseAddress, buffer.count, &used)
        archive_write_header(archive, entry)
        _ = bytes.withUnsafeBytes { archive_write_data(archive, $0.baseAddress, $0.count) }
        archive_write_close(archive)
    }
    return Array(out[..<used])
}

/// Blobs of an OCI layout under construction.
struct SampleLayout {
    var blobs: [(Digest, [UInt8])] = []

    mutating func add(_ bytes: [UInt8]) -> (digest: Digest, size: Int64) {
        let digest = Digest.of(bytes)
        if !blobs.contains(where: { $0.0 == digest }) { blobs.append((digest, bytes)) }
        return (digest, Int64(bytes.count))
    }

    /// An image of these plain tar layers; gives its manifest's descriptor.
    mutating func image(_ layers: [[UInt8]], compression: Compression = .none, architecture: String = "amd64") throws
        -> Document
    {
        let config = add(
            ([
                "architecture": Document(architecture), "os": "linux", "config": ["Env": ["A=1"], "Cmd": ["run"]],
                "rootfs": [
                    "type": "layers", "diff_ids": Document(layers.map { Document(Digest.of($0).description) }),
                ],
            ] as Document).json)
        var descriptors: [Descriptor] = []
        for layer in layers {
            let blob = add(try compress(layer, compression))
            descriptors.append(Descriptor(digest: blob.digest, size: blob.size, mediaType: compression.mediaType))
        }
        let manifest = Manifest(
            config: Descriptor(
                digest: config.digest, size: config.size, mediaType: "application/vnd.oci.image.config.v1+json"),
            layers: descriptors)
        let blob = add(manifest.document.json)
        var entry = Descriptor(digest: blob.digest, size: blob.size, mediaType: Manifest.mediaType).document
        entry["platform"] = ["os": "linux", "architecture": Document(architecture)]
        return entry
    }

    func entries(index: [Document]) -> [(ArchiveEntry, [UInt8])] {
        var entries = [file("oci-layout", #"{"imageLayoutVersion":"1.0.0"}"#)]
        for (digest, bytes) in blobs {
            entries.append((ArchiveEntry(path: "blobs/sha256/\(digest.hex)", kind: .file, mode: 0o644), bytes))
        }
        let document: Document = ["schemaVersion": 2, "manifests": Document(index)]
        entries.append((ArchiveEntry(path: "index.json", kind: .file, mode: 0o644), document.json))
        return entries
    }
}

func named(_ entry: Document, _ name: String) -> Document {
    var entry = entry
    entry["annotations"] = ["org.opencontainers.image.ref.name": Document(name)]
    return entry
}

/// Every path below a directory.
func tree(_ path: String, _ prefix: String = "") throws -> [String] {
    try Files.list(path).flatMap { name -> [String] in
        var status = stat()
        lstat("\(path)/\(name)", &status)
        guard status.st_mode & (S_IFMT as mode_t) == (S_IFDIR as mode_t) else { return [prefix + name] }
        return [prefix + name + "/"] + (try tree("\(path)/\(name)", prefix + name + "/"))
    }
}

func status(_ path: String) throws -> stat {
    var status = stat()
    guard lstat(path, &status) == 0 else { throw SystemError("lstat", path, errno: errno) }
    return status
}
