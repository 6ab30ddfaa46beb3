import Basics
import Document

/// A fault of processes or of a disk, as the file says that lies in its cluster for as long as the fault is there.
struct ProcessFault: Sendable, Equatable {
    enum Verb: String, Sendable { case kill, stop, freeze, disk = "disk-full" }

    /// What is broken, as the machine knows it.
    enum Victim: Sendable, Equatable {
        /// One of the processes that a node's supervisor keeps running.
        case component(String, node: String)
        case node(String)
        /// By its control group on this machine.
        case pod(namespace: String, name: String, node: String, cgroup: String)
    }

    var name: String
    var verb: Verb
    var victim: Victim
    var until: Timestamp?

    static let components = ["apiserver", "manager", "agent"]
    static let covered = ["/var/lib/kubelet", "/var/log/pods"]

    var node: String {
        switch victim {
        case .component(_, let node), .node(let node), .pod(_, _, let node, _): node
        }
    }

    var place: String {
        switch victim {
        case .component(let name, let node): "component/\(name)@\(node)"
        case .node(let name): "node/\(name)"
        case .pod(let namespace, let name, _, _): "pod/\(namespace)/\(name)"
        }
    }

    /// Whether it has to be undone from inside the node.
    var isInside: Bool { verb == .disk }

    var document: Document {
        var document: Document = ["name": Document(name), "verb": Document(verb.rawValue), "node": Document(node)]
        switch victim {
        case .component(let name, _): document["component"] = Document(name)
        case .node: break
        case .pod(let namespace, let name, _, let cgroup):
            document["pod"] = ["namespace": Document(namespace), "name": Document(name), "cgroup": Document(cgroup)]
        }
        if let until { document["until"] = Document(until.rfc3339(fractionDigits: 3)) }
        return document
    }

    init(name: String, verb: Verb, victim: Victim, until: Timestamp?) {
        self.name = name
        self.verb = verb
        self.victim = victim
        self.until = until
    }

    /// Nil where it is nothing that `document` wrote.
    init?(_ document: Document) {
        guard let name = document.text("name"), let verb = document.text("verb").flatMap({ Verb(rawValue: $0) }),
            let node = document.text("node")
        else { return nil }
        self.name = name
        self.verb = verb
        until = document.text("until").flatMap { Timestamp(rfc3339: $0) }
        if let component = document.text("component") {
            victim = .component(component, node: node)
        } else if let pod = document["pod"] {
            victim = .pod(
                namespace: pod.text("namespace") ?? "", name: pod.text("name") ?? "", node: node,
                cgroup: pod.text("cgroup") ?? "")
        } else {
            victim = .node(node)
        }
    }
}

/// A fault as it is listed.
public struct FaultEntry: Sendable, Equatable {
    public var name: String
    public var kind: String
    public var at: String
    public var to: String?
    public var isOneWay = false
    public var until: Timestamp?
}
