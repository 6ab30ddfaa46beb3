import Basics
import Document
import Kinds
import Schema
import Wire

/// How the server reaches a node agent: over HTTPS with its own client certificate.
public typealias NodeTransport =
    @Sendable (_ node: String, _ addresses: [IPAddress], _ port: UInt16) -> any Transport

/// Requests that the node agent answers: logs, exec, attach, port-forward, and the node's own paths.
struct NodeProxy: Sendable {
    let resources: Resources
    let transport: NodeTransport?

    /// Fields that belong to one connection and not to the message.
    private static let hopFields: Set = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "host", "authorization", "content-length",
    ]

    private func agent(of node: String) async throws -> any Transport {
        guard let transport else { throw APIStatus.notImplemented("this server has no way to reach node agents") }
        guard let object = try await resources.object("nodes", name: node) else {
            var status = APIStatus.failure(404, "NotFound", "nodes \"\(node)\" not found")
            status.name = node
            status.kind = "nodes"
            throw status
        }
        // Addresses inside the cluster first; names would need a resolver that knows them.
        let order = ["InternalIP", "ExternalIP"]
        let listed = object.list("status", "addresses")
        let addresses = order.flatMap { type in
            listed.filter { $0.text("type") == type }.compactMap { $0.text("address").flatMap { IPAddress($0) } }
        }
        guard !addresses.isEmpty else {
            throw APIStatus.internalError("node \"\(node)\" has no address in its status")
        }
        let port = object.number("status", "daemonEndpoints", "kubeletEndpoint", "Port") ?? 10_250
        return transport(node, addresses, UInt16(clamping: port))
    }

    /// `nodes/NAME/proxy/PATH`
    func node(_ call: Call) async throws -> Answer {
        // `NAME:PORT` and `https:NAME:PORT` name another port than the agent's; only the agent is reached here.
        let parts = call.name.split(separator: ":").map(String.init)
        let name = parts.count == 3 ? parts[1] : parts.first ?? ""
        return try await forward(call, to: agent(of: name), path: "/" + call.info.rest, query: rawQuery(call))
    }

    private func rawQuery(_ call: Call) -> String {
        call.request.target.split(separator: "?", maxSplits: 1).dropFirst().first.map(String.init) ?? ""
    }

    /// The pod, and the container that the query names or that is the only one.
    private func target(_ call: Call) async throws -> (node: String, container: String) {
        guard let pod = try await resources.document(call.resource, namespace: call.namespace, name: call.name) else {
            throw APIStatus.notFound(call.resource, call.name)
        }
        func names(_ field: String) -> [String] { pod.list("spec", field).compactMap { $0.text("name") } }
        let containers = names("containers")
        let initial = names("initContainers")
        let ephemeral = names("ephemeralContainers")
        var container = call.info.query["container"] ?? ""
        if container.isEmpty {
            let annotated = pod.text("metadata", "annotations", "kubectl.kubernetes.io/default-container") ?? ""
            if containers.contains(annotated), call.subresource != "log" {
                container = annotated
            } else if containers.count == 1, let only = containers.first {
                container = only
            } else {
                var text = "a container name must be specified for pod \(call.name), choose one of: "
                text += "[\(containers.joined(separator: " "))]"
                if !initial.isEmpty { text += " or one of the init containers: [\(initial.joined(separator: " "))]" }
                throw APIStatus.badRequest(text)
            }
        } else if !(containers + initial + ephemeral).contains(container) {
            throw APIStatus.badRequest("container \(container) is not valid for pod \(call.name)")
        }
        let node = pod.text("spec", "nodeName") ?? ""
        if node.isEmpty, call.subresource != "log" {
            throw APIStatus.badRequest("pod \(call.name) does not have a host assigned")
        }
        return (node, container)
    }

    /// `pods/NAME/log`
    func log(_ call: Call) async throws -> Answer {
        let (node, container) = try await target(call)
        guard !node.isEmpty else {
            // Nothing ran yet, so nothing was logged.
            return .response(text([]))
        }
        let passed = [
            "follow", "tailLines", "sinceSeconds", "sinceTime", "timestamps", "previous", "limitBytes", "stream",
        ]
        let query = call.info.query.items.filter { passed.contains($0.name) }
            .map { "\($0.name)=\(Self.encoded($0.value))" }.joined(separator: "&")
        let path = "/containerLogs/\(call.namespace)/\(call.name)/\(container)"
        return try await forward(call, to: agent(of: node), path: path, query: query)
    }

    private func text(_ bytes: [UInt8]) -> Response {
        Response(status: 200, headers: Headers([("Content-Type", "text/plain")]), body: .bytes(bytes))
    }

    /// `pods/NAME/exec`, `…/attach`, `…/portforward`: the connection is handed to the node agent, whatever it speaks.
    func connect(_ call: Call) async throws -> Answer {
        guard try await resources.record(call.resource, namespace: call.namespace, name: call.name) != nil else {
            throw APIStatus.notFound(call.resource, call.name)
        }
        var path: String
        let node: String
        if call.subresource == "portforward" {
            guard let pod = try await resources.document(call.resource, namespace: call.namespace, name: call.name)
            else {
                throw APIStatus.notFound(call.resource, call.name)
            }
            node = pod.text("spec", "nodeName") ?? ""
            if node.isEmpty { throw APIStatus.badRequest("pod \(call.name) does not have a host assigned") }
            path = "/portForward/\(call.namespace)/\(call.name)"
        } else {
            let found = try await target(call)
            node = found.node
            path = "/\(call.subresource)/\(call.namespace)/\(call.name)/\(found.container)"
        }
        guard let upgrade = call.request.headers["Upgrade"], !upgrade.isEmpty else {
            throw APIStatus.badRequest("Upgrade request required")
        }
        let query = Self.agentQuery(call)
        if !query.isEmpty { path += "?" + query }
        guard let transport = try await agent(of: node) as? HTTPTransport else {
            throw APIStatus.notImplemented("this server's way to node agents carries no protocol upgrades")
        }
        var headers = Headers([("Connection", "Upgrade"), ("Upgrade", upgrade)])
        for field in call.request.headers.fields {
            let name = field.name.lowercased()
            if name.hasPrefix("sec-websocket-") || name.hasPrefix("x-stream-protocol") {
                headers.add(field.name, field.value)
            }
        }
        switch try await transport.upgrade(Request(call.request.method, path, headers: headers)) {
        case .refused(let stream): return .response(Self.relay(stream))
        case .switched(let answer, let far):
            return .response(
                Response(
                    status: 101, headers: answer, body: .upgrade { near in try await Self.join(near, far) }))
        }
    }

    /// The agent names the streams as the older protocol did.
    private static func agentQuery(_ call: Call) -> String {
        let names = ["stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"]
        return call.info.query.items.compactMap { item -> String? in
            if let name = names[item.name] {
                return ["true", "1"].contains(item.value) ? "\(name)=1" : nil
            }
            return ["command", "ports", "port"].contains(item.name) ? "\(item.name)=\(encoded(item.value))" : nil
        }.joined(separator: "&")
    }

    /// Carries bytes both ways until both sides have finished or one breaks.
    private static func join(_ near: any Connection, _ far: any Connection) async throws {
        defer {
            near.close()
            far.close()
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (from, to) in [(near, far), (far, near)] {
                group.addTask {
                    while true {
                        let bytes = try await from.read(atMost: 64 << 10)
                        if bytes.isEmpty { break }
                        try await to.write(bytes)
                    }
                    try await to.finishWriting()
                }
            }
            try await group.waitForAll()
        }
    }

    private func forward(_ call: Call, to transport: any Transport, path: String, query: String) async throws -> Answer
    {
        var headers = Headers()
        for field in call.request.headers.fields where !Self.hopFields.contains(field.name.lowercased()) {
            headers.add(field.name, field.value)
        }
        let target = query.isEmpty ? path : "\(path)?\(query)"
        do {
            return .response(
                Self.relay(
                    try await transport.send(
                        Request(call.request.method, target, headers: headers, body: call.request.body))))
        } catch let error as CancellationError {
            throw error
        } catch {
            throw APIStatus.internalError("error trying to reach service: \(error)")
        }
    }

    private static func relay(_ stream: any ResponseStream) -> Response {
        var headers = Headers()
        for field in stream.headers.fields where !hopFields.contains(field.name.lowercased()) {
            headers.add(field.name, field.value)
        }
        return Response(
            status: stream.status, headers: headers,
            body: .stream { writer in
                defer { stream.cancel() }
                while let piece = try await stream.next() { try await writer.write(piece) }
            })
    }

    private static func encoded(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default: out += "%" + Hex.encode([byte]).uppercased()
            }
        }
        return out
    }
}
