import Basics
import Document
import Kinds
import Schema
import Wire

/// How the server reaches a node agent: over HTTPS with its own client certificate.
public typealias NodeTransport =
    @Sendable (_ node: String, _ addresses: [IPAddress], _ port: UInt16) -> any Transport

/// Requests about pods that the node agent answers: logs, exec, attach and port-forward.
struct NodeProxy: Sendable {
    let resources: Resources
    let transport: NodeTransport?

    struct Agent {
        var transport: any Transport
        var address: IPAddress
        var port: Int
    }

    func agent(of node: String) async throws -> Agent {
        guard let object = try await resources.object("nodes", name: node) else {
            var status = APIStatus.failure(404, "NotFound", "nodes \"\(node)\" not found")
            status.name = node
            status.kind = "nodes"
            throw status
        }
        guard let transport else { throw APIStatus.notImplemented("this server has no way to reach node agents") }
        // Addresses inside the cluster first; names would need a resolver that knows them.
        let order = ["InternalIP", "ExternalIP"]
        let listed = object.list("status", "addresses")
        let addresses = order.flatMap { type in
            listed.filter { $0.text("type") == type }.compactMap { $0.text("address").flatMap { IPAddress($0) } }
        }
        guard let first = addresses.first else {
            let known = listed.compactMap { $0.text("type") }
            throw APIStatus.internalError(
                "no preferred addresses found; known addresses: [\(known.joined(separator: " "))]")
        }
        let port = object.number("status", "daemonEndpoints", "kubeletEndpoint", "Port") ?? 0
        let number = port == 0 ? 10_250 : port
        return Agent(transport: transport(node, addresses, UInt16(clamping: number)), address: first, port: number)
    }

    private func pod(_ call: Call) async throws -> Document {
        guard let pod = try await resources.document(call.resource, namespace: call.namespace, name: call.name) else {
            throw APIStatus.notFound(call.resource, call.name)
        }
        return pod
    }

    /// The container that the query names, or the only one.
    private func container(_ call: Call, of pod: Document) throws -> String {
        let all = ["initContainers", "containers", "ephemeralContainers"]
            .flatMap { pod.list("spec", $0).compactMap { $0.text("name") } }
        let named = call.info.query["container"] ?? ""
        guard named.isEmpty else {
            guard all.contains(named) else {
                throw APIStatus.badRequest("container \(named) is not valid for pod \(call.name)")
            }
            return named
        }
        let containers = pod.list("spec", "containers").compactMap { $0.text("name") }
        if containers.count == 1 { return containers[0] }
        throw APIStatus.badRequest(
            "a container name must be specified for pod \(call.name), choose one of: "
                + "[\(all.joined(separator: " "))]")
    }

    private func node(of pod: Document, _ call: Call) throws -> String {
        let node = pod.text("spec", "nodeName") ?? ""
        if node.isEmpty { throw APIStatus.badRequest("pod \(call.name) does not have a host assigned") }
        return node
    }

    // MARK: Logs

    /// `pods/NAME/log`
    func log(_ call: Call) async throws -> Answer {
        let query = try logQuery(call)
        let pod = try await pod(call)
        let container = try container(call, of: pod)
        guard let node = pod.text("spec", "nodeName"), !node.isEmpty else {
            // Nothing ran yet, so nothing was logged.
            return .response(Response(status: 204))
        }
        let path = "/containerLogs/\(call.namespace)/\(call.name)/\(container)"
        let stream: any ResponseStream
        do {
            stream = try await agent(of: node).transport.send(
                Request("GET", query.isEmpty ? path : "\(path)?\(query)"))
        } catch let error as CancellationError {
            throw error
        } catch let error as APIStatus {
            throw error
        } catch {
            throw APIStatus.internalError("\(error)")
        }
        guard (200...206).contains(stream.status) else { throw try await Self.refusal(stream, call) }
        return .response(
            Response(
                status: 200, headers: Headers([("Content-Type", stream.headers["Content-Type"] ?? "text/plain")]),
                body: .stream { writer in
                    defer { stream.cancel() }
                    while let piece = try await stream.next() { try await writer.write(piece) }
                }))
    }

    private func logQuery(_ call: Call) throws -> String {
        let query = call.info.query
        func number(_ name: String) throws -> Int? { try Resources.integer(query[name]) }
        var errors: [FieldError] = []
        if let lines = try number("tailLines"), lines < 0 {
            errors.append(.invalid("tailLines", Document(lines), "must be greater than or equal to 0"))
        }
        if let bytes = try number("limitBytes"), bytes < 1 {
            errors.append(.invalid("limitBytes", Document(bytes), "must be greater than 0"))
        }
        let seconds = try number("sinceSeconds")
        if seconds != nil, !(query["sinceTime"] ?? "").isEmpty {
            errors.append(.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
        } else if let seconds, seconds < 1 {
            errors.append(.invalid("sinceSeconds", Document(seconds), "must be greater than 0"))
        }
        let stream = query["stream"] ?? ""
        if !["", "All", "Stdout", "Stderr"].contains(stream) {
            errors.append(.notSupported("stream", Document(stream), ["All", "Stderr", "Stdout"]))
        } else if ["Stdout", "Stderr"].contains(stream), query["tailLines"] != nil {
            errors.append(.forbidden("", "`tailLines` and specific `stream` are mutually exclusive for now"))
        }
        if !errors.isEmpty { throw APIStatus.invalid(kind: "PodLogOptions", group: "", name: call.name, errors) }
        var parts: [String] = []
        for name in ["follow", "previous", "timestamps"] where query.flag(name) { parts.append("\(name)=true") }
        for name in ["sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream"] {
            if let value = query[name], !value.isEmpty { parts.append("\(name)=\(Self.encoded(value))") }
        }
        return parts.joined(separator: "&")
    }

    /// What the agent refuses, as a status: its own words where they are meant for the user.
    private static func refusal(_ stream: any ResponseStream, _ call: Call) async throws -> APIStatus {
        var text: [UInt8] = []
        while text.count < 50_000, let piece = try await stream.next() { text += piece }
        stream.cancel()
        let message = String(decoding: text.prefix(50_000), as: UTF8.self)
        switch stream.status {
        case 500: return .internalError(message)
        case 400: return .badRequest(message)
        default:
            var status = APIStatus.failure(
                stream.status, stream.status == 404 ? "NotFound" : "",
                (stream.status == 404
                    ? "the server could not find the requested resource"
                    : "the server responded with the status code \(stream.status) but did not return more information")
                    + " ( pods/log \(call.name))")
            status.name = call.name
            status.kind = "pods/log"
            return status
        }
    }

    // MARK: Streams

    /// `pods/NAME/exec`, `…/attach`, `…/portforward`: the connection is handed to the node agent, whatever it speaks.
    func connect(_ call: Call) async throws -> Answer {
        let pod = try await pod(call)
        var path: String
        let node: String
        if call.subresource == "portforward" {
            node = try self.node(of: pod, call)
            path = "/portForward/\(call.namespace)/\(call.name)"
        } else {
            let container = try container(call, of: pod)
            node = try self.node(of: pod, call)
            path = "/\(call.subresource)/\(call.namespace)/\(call.name)/\(container)"
        }
        let agent = try await agent(of: node)
        guard let upgrade = call.request.headers["Upgrade"], !upgrade.isEmpty else {
            throw APIStatus.badRequest("Upgrade request required")
        }
        let query = Self.agentQuery(call)
        if !query.isEmpty { path += "?" + query }
        guard let transport = agent.transport as? any UpgradingTransport else {
            throw APIStatus.notImplemented("this server's way to node agents carries no protocol upgrades")
        }
        var headers = Headers([("Connection", "Upgrade"), ("Upgrade", upgrade)])
        for field in call.request.headers.fields {
            let name = field.name.lowercased()
            if name.hasPrefix("sec-websocket-") || name.hasPrefix("x-stream-protocol") {
                headers.add(field.name, field.value)
            }
        }
        Tunnel.dropToken(&headers)
        do {
            return try await Tunnel.open(Request(call.request.method, path, headers: headers), over: transport)
        } catch let error as CancellationError {
            throw error
        } catch {
            throw APIStatus.internalError("error dialing backend: \(error)")
        }
    }

    /// The agent names the streams as the older protocol did.
    private static func agentQuery(_ call: Call) -> String {
        let query = call.info.query
        if call.subresource == "portforward" {
            let ports = query.all("ports").joined(separator: ",")
            return ports.isEmpty ? "" : "port=\(encoded(ports))"
        }
        var parts: [String] = []
        for (name, own) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")]
        where query.flag(name) { parts.append("\(own)=1") }
        return (parts + query.all("command").map { "command=\(encoded($0))" }).joined(separator: "&")
    }

    static func encoded(_ text: String) -> String {
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
