/// The version of this program.
public enum LabVersion {
    public static let current = "0.1.0"
}
