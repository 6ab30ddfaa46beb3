import Document

/// The version of the Kubernetes API that the house speaks.
public enum KubernetesVersion {
    public static let major = "1"
    public static let minor = "36"
    /// What `/version` and the nodes report; the part behind `+` says who speaks.
    public static let gitVersion = "v1.36.0+lab"

    /// What `/version` answers.
    public static func document(_ build: BuildOrigin) -> Document {
        [
            "major": Document(major), "minor": Document(minor), "emulationMajor": Document(major),
            "emulationMinor": Document(minor), "minCompatibilityMajor": Document(major), "minCompatibilityMinor": "35",
            "gitVersion": Document(gitVersion), "gitCommit": Document(build.commit),
            "gitTreeState": Document(build.treeState), "buildDate": Document(build.date), "goVersion": "none",
            "compiler": "swift", "platform": Document(BuildOrigin.platform),
        ]
    }
}

/// What this program was built from.
public struct BuildOrigin: Sendable, Equatable {
    /// The commit, in full.
    public var commit: String
    /// When that was made, so that building it again gives the same program.
    public var date: String
    /// `clean`, or `dirty` where files had changed since.
    public var treeState: String

    public init(commit: String, date: String, treeState: String) {
        self.commit = commit
        self.date = date
        self.treeState = treeState
    }

    /// Built outside a checkout.
    public static let unknown = BuildOrigin(commit: "unknown", date: "1970-01-01T00:00:00Z", treeState: "unknown")

    public static var platform: String {
        #if arch(arm64)
            "linux/arm64"
        #else
            "linux/amd64"
        #endif
    }
}
