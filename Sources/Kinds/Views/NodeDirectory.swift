/// The names by which the built-in class of volumes is known: each is a directory on one node.
///
/// Its provisioner, the nodes' agents and the API server's admission share nothing but these. The provisioner makes
/// the volume object with a label for the node; the node's agent makes the directory when a pod needs it, and when
/// the object is deleted removes the directory and then the finalizer.
public enum NodeDirectory {
    public static let provisioner = "lab.local/node-directory"
    /// On the volume: the node that has the data.
    public static let nodeLabel = "node-directory.lab.local/node"
    /// Stays on the volume until its directory is gone.
    public static let finalizer = "node-directory.lab.local/data"
    /// The directory of all such volumes on every node.
    public static let root = "/var/lib/lab-volumes"
}
