import Cluster

/// Every command's name, operands, flags and one line of help, in the order of `lab help`.
public enum Commands {
    static let json = CommandSyntax.Flag("json", .none, "", "print JSON for scripts")
    static let name = CommandSyntax.Flag("name", .one, "NAME", "the cluster, as kind's commands have it")
    static let wait = CommandSyntax.Flag(
        "wait", .one, "DUR", "how long to wait for the nodes (default 60s; 0s: do not wait)")

    public static let create = CommandSyntax(
        "create", operands: "[NAME]", most: 1, "Create a cluster and wait until every node is ready.",
        flags: [
            .init("config", .one, "FILE", "description of the cluster in YAML, ours or kind's ('-': standard input)"),
            name,
            .init("workers", .one, "N", "number of worker nodes (default 2)"),
            .init("image", .one, "IMAGE", "kind's node image: its tag must be of this lab's Kubernetes version"),
            .init("image-archive", .many, "FILE", "load an OCI or docker archive first; may be repeated"),
            .init("api-port", .one, "PORT", "loopback port of the API (default: a free one)"),
            .init("port", .many, "MAPPING", "publish \(PublishedPort.syntax); may be repeated"),
            .init("kubeconfig", .one, "FILE", "merge the context into FILE (default: $KUBECONFIG or ~/.kube/config)"),
            .init("controllers", .one, "LIST", "controllers that run: *, NAME, -NAME (default *)"),
            .init("leader-elect", .one, "BOOL", "controllers and scheduler hold leases (default true)"),
            .init("egress", .one, "BOOL", "pods reach what the host reaches (default true)"),
            .init("retain", .none, "", "keep what was made when the creation fails"),
            wait, json,
        ])
    public static let delete = CommandSyntax(
        "delete", operands: "[NAME...]", most: 1_000, "Delete a cluster and everything that belongs to it.",
        flags: [
            .init("all", .none, "", "delete every cluster"),
            .init("kubeconfig", .one, "FILE", "remove the context from FILE"), name, json,
        ])
    public static let list = CommandSyntax("list", "List the clusters of this machine.", flags: [json])
    private static let everyNode = CommandSyntax.Flag("name", .one, "NAME", "a cluster: its nodes share the store")
    public static let load = CommandSyntax(
        "load", operands: "ARCHIVE...", fewest: 1, most: 1_000,
        "Load OCI or docker archives into the content store that all nodes share.", flags: [everyNode])
    public static let loadArchive = CommandSyntax(
        "load image-archive", operands: "ARCHIVE...", fewest: 1, most: 1_000,
        "The same, as kind's command has it.", flags: [everyNode])
    public static let loadImage = CommandSyntax(
        "load docker-image", operands: "IMAGE...", fewest: 1, most: 1_000,
        "Load images straight from docker or podman on this machine.",
        flags: [everyNode, .init("from", .one, "PROGRAM", "docker or podman (default: the first that has the image)")])
    public static let images = CommandSyntax("images", "List the images in the content store.", flags: [json])
    public static let port = CommandSyntax(
        "port", operands: "add|remove|list [MAPPING...]", fewest: 1, most: 1_000,
        "Publish ports of a running cluster on this machine, as \(PublishedPort.syntax).",
        flags: [.init("cluster", .one, "NAME", "a cluster of this machine (default lab)"), json])
    public static let apiserver = CommandSyntax(
        "apiserver", "Run an API server alone, without controllers and nodes, and write a kubeconfig for it.",
        flags: [
            .init("data", .one, "DIR", "keep objects and keys in DIR"),
            .init("memory", .none, "", "keep them in memory, for as long as it runs"),
            .init("port", .one, "N", "where to listen (default 6443; 0: a free port)"),
            .init("address", .one, "IP", "address to listen on (default 127.0.0.1)"),
            .init("kubeconfig", .one, "FILE", "where to write (default DIR/kubeconfig, or ./apiserver.kubeconfig)"),
            .init("service-cluster-ip-range", .one, "CIDR", "addresses of Services (default 10.96.0.0/16)"),
            .init("enable-admission-plugins", .one, "LIST", "plug-ins to run besides the usual ones"),
            .init("disable-admission-plugins", .one, "LIST", "usual plug-ins not to run"),
        ])
    public static let backup = CommandSyntax(
        "backup", operands: "DIR", fewest: 1, most: 1,
        "Copy the data of an API server, which may be running, into the new directory DIR.",
        flags: [.init("data", .one, "DIR", "the server's own data directory")])
    public static let fault = CommandSyntax(
        "fault", operands: "add|list|remove ...", fewest: 1, most: 4,
        "Break a cluster on purpose: add KIND PLACE [PLACE], list, remove NAME.",
        details: """
            kinds and their places:
              partition loss reset dns              node/NAME pod/NS/NAME, to also service/NS/NAME
              kill stop freeze                      component/NAME[@NODE] node/NAME pod/NS/NAME
              disk-full                             node/NAME
              api-slow api-error                    user/NAME agent/BEGINNING, or every client
              watch-drop watch-lag watch-stale      the same
            components: apiserver, manager (controllers and scheduler), agent@NODE (kubelet, proxy, DNS)
            """,
        flags: [
            .init("cluster", .one, "NAME", "which cluster (default lab)"),
            .init("name", .one, "NAME", "add: how the fault is called (default: its kind and a number)"),
            .init("for", .one, "DUR", "add: how long it lasts (default: until it is removed)"),
            .init("one-way", .none, "", "add: only what the first place sends"),
            .init("percent", .one, "N", "add loss, api-error: so many of a hundred"),
            .init("rate", .one, "RATE", "add rate: what is beyond it is lost, such as 1mbit"),
            .init("delay", .one, "DUR", "add api-slow, watch-lag: how long"),
            .init("all", .none, "", "remove: every fault"), json,
        ])
    public static let doctor = CommandSyntax(
        "doctor", "Check this machine for what lab needs, and for leftovers of dead clusters.", flags: [json])
    public static let runtime = CommandSyntax(
        "runtime", operands: "COMMAND...", most: 1_000,
        "The OCI runtime, with runc's commands; 'lab runtime help' lists them.")
    public static let version = CommandSyntax("version", "Print the version.", flags: [json])

    /// In the order of help; each has its implementation under the same name.
    public static let all =
        [create, delete, list] + lifecycle + [port, registry, load, loadImage, loadArchive, images] + ImageCommands.all
        + [conformance, fault, netTrace, netDump, apiserver, backup, doctor, runtime] + shell + [version]
}
