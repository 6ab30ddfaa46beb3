import Basics
import Document
import Linux

/// A snapshot as its directory describes it: `SNAPSHOT/snapshot.json` beside `SNAPSHOT/cluster`, which is a cluster's
/// directory without its sockets. The binary in it is the one that the cluster ran.
public struct SnapshotRecord: Sendable, Equatable {
    /// Raised when what a snapshot holds changes its meaning.
    static let currentFormat = 1

    public var name: String
    public var cluster: String
    public var takenAt: Timestamp
    public var bytes: Int64
    /// The program that wrote it.
    public var version: String
    var format = Self.currentFormat

    init(name: String, cluster: String, takenAt: Timestamp, bytes: Int64, version: String = LabVersion.current) {
        self.name = name
        self.cluster = cluster
        self.takenAt = takenAt
        self.bytes = bytes
        self.version = version
    }

    public var document: Document {
        [
            "name": Document(name), "cluster": Document(cluster), "takenAt": Document(takenAt.description),
            "bytes": Document(bytes), "version": Document(version), "format": Document(format),
        ]
    }

    init?(_ document: Document) {
        guard let name = document.text("name"), let cluster = document.text("cluster"),
            let version = document.text("version"), let format = document.number("format")
        else { return nil }
        self.init(
            name: name, cluster: cluster,
            takenAt: document.text("takenAt").flatMap { Timestamp(rfc3339: $0) } ?? Timestamp(seconds: 0),
            bytes: Int64(document.number("bytes") ?? 0), version: version)
        self.format = format
    }

    /// Objects and node data of another version may mean something else.
    func check() throws(Failure) {
        guard format == Self.currentFormat, version == LabVersion.current else {
            throw Failure(
                "the snapshot '\(name)' was taken by lab \(version) (format \(format)), and this is lab "
                    + "\(LabVersion.current) (format \(Self.currentFormat))",
                remedy: "use it with lab \(version)")
        }
    }
}

/// Where snapshots lie.
struct SnapshotLayout: Sendable {
    let directory: String

    init(_ layout: Layout, cluster: String, snapshot: String) {
        directory = "\(layout.snapshots)/\(cluster)/\(snapshot)"
    }

    init(directory: String) { self.directory = directory }

    var record: String { "\(directory)/snapshot.json" }
    var cluster: String { "\(directory)/cluster" }
    /// What a snapshot is called until it is whole.
    var partial: SnapshotLayout { SnapshotLayout(directory: directory + ".partial") }
}
