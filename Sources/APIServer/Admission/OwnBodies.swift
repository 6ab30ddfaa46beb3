import Document
import Kinds
import Schema

extension Call {
    /// Whether the subresource takes a body of another kind, which is admitted as what it is.
    var hasOwnBody: Bool { subresource == "binding" || subresource == "scale" }
}

extension Resources {
    /// Admits the body of a subresource that is not of the resource's own kind.
    func admitBody(
        _ body: inout Document, _ call: Call, _ operation: AdmissionContext.Operation,
        _ kind: AdmissionContext.KindName, old: Document? = nil, dryRun: Bool
    ) async throws {
        var context = context(call, operation, old: old, dryRun: dryRun)
        context.kind = kind
        try await admit(&body, context)
        try await validate(body, context)
    }

    private static let connections: [String: [String: String]] = [
        "pods": [
            "exec": "PodExecOptions", "attach": "PodAttachOptions", "portforward": "PodPortForwardOptions",
            "proxy": "PodProxyOptions",
        ],
        "nodes": ["proxy": "NodeProxyOptions"], "services": ["proxy": "ServiceProxyOptions"],
    ]

    /// Admits a connection to a pod, node or service; does nothing for all other requests.
    func admitConnection(_ call: Call) async throws {
        guard let kind = Self.connections[call.resource.qualifiedName]?[call.subresource] else { return }
        let query = call.info.query
        var body: Document = ["kind": Document(kind), "apiVersion": "v1"]
        for field in ["stdin", "stdout", "stderr", "tty"] where query.flag(field) { body[field] = true }
        if let container = query["container"], !container.isEmpty { body["container"] = Document(container) }
        let command = query.all("command")
        if !command.isEmpty { body["command"] = Document(command) }
        let ports = query.all("ports").flatMap { $0.split(separator: ",") }.compactMap { Int($0) }
        if !ports.isEmpty { body["ports"] = Document(ports.map { Document($0) }) }
        if call.subresource == "proxy" {
            let path = call.info.rest
            if !path.isEmpty { body["path"] = Document(path.hasPrefix("/") ? path : "/" + path) }
        }
        try await admitBody(&body, call, .connect, .init(group: "", version: "v1", kind: kind), dryRun: false)
    }
}
