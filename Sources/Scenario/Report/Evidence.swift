import Client
import Document

/// What helps to understand a failure: the namespace's pods, events and logs. Bounded, and never a failure itself.
struct Evidence: Sendable {
    static let mostEvents = 40
    static let mostPods = 12
    static let logLines = 15

    let client: APIClient
    let locator: ResourceLocator
    let namespace: String

    func collect() async -> [String] { await pods() + events() + logs() }

    private func pods() async -> [String] {
        guard let list = try? await client.list(.pods, namespace: namespace) else {
            return ["(no pods could be listed)"]
        }
        return list.list("items").prefix(Self.mostPods).map { pod in
            var line = "pod \(pod.text("metadata", "name") ?? "") \(pod.text("status", "phase") ?? "") on "
            line += pod.text("spec", "nodeName") ?? "no node"
            for status in pod.list("status", "containerStatuses") {
                line += "; \(status.text("name") ?? ""): \(status["state"]?.jsonText ?? "unknown")"
            }
            for condition in pod.list("status", "conditions") where condition.text("status") == "False" {
                line += "; not \(condition.text("type") ?? ""): \(condition.text("message") ?? "")"
            }
            return line
        }
    }

    private func events() async -> [String] {
        guard let list = try? await client.list(.events, namespace: namespace) else { return [] }
        return list.list("items").suffix(Self.mostEvents).map { event in
            let object = "\(event.text("involvedObject", "kind") ?? "")/\(event.text("involvedObject", "name") ?? "")"
            return
                "event \(event.text("type") ?? "") \(event.text("reason") ?? "") \(object): \(event.text("message") ?? "")"
        }
    }

    private func logs() async -> [String] {
        guard let list = try? await client.list(.pods, namespace: namespace) else { return [] }
        let observer = Observer(client: client, locator: locator, namespace: namespace)
        var lines: [String] = []
        for pod in list.list("items").prefix(Self.mostPods) {
            let name = pod.text("metadata", "name") ?? ""
            for container in pod.list("spec", "containers").compactMap({ $0.text("name") }) {
                guard
                    let seen = try? await observer.log(name, container: container, tail: Self.logLines),
                    case .text(let text, _) = seen
                else { continue }
                lines += text.split(separator: "\n").suffix(Self.logLines).map { "log \(name)/\(container): \($0)" }
            }
        }
        return lines
    }
}
