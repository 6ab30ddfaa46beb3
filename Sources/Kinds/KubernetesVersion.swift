/// The version of the Kubernetes API that the house speaks.
public enum KubernetesVersion {
    public static let major = "1"
    public static let minor = "36"
    /// What `/version` and the nodes report; the part behind `+` says who speaks.
    public static let gitVersion = "v1.36.0+lab"
}
