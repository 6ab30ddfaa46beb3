import Client
import Document
import Kinds

/// Finds out what a cluster and this machine have, each thing once.
actor Requirements {
    private let ground: Ground
    private let locator: ResourceLocator
    private var nodes: Int?
    private var programs: [String: Bool] = [:]

    init(ground: Ground, locator: ResourceLocator) {
        self.ground = ground
        self.locator = locator
    }

    /// What the scenario needs and is not there; nil where nothing is missing.
    func missing(for scenario: Scenario) async -> String? {
        for requirement in scenario.requires {
            if let missing = await missing(requirement) { return missing }
        }
        return nil
    }

    private func missing(_ requirement: Requirement) async -> String? {
        switch requirement {
        case .nodes(let least):
            let count = await countNodes()
            return count >= least ? nil : "needs \(least) nodes, there are \(count)"
        case .clusterOfLab: return ground.machinery == nil ? "needs a cluster of lab on this machine, and root" : nil
        case .scripts: return ground.scripts == nil ? "needs scripts" : nil
        case .root: return await holds("test \"$(id -u)\" = 0") ? nil : "needs root"
        case .program(let name): return await holds("command -v '\(name)'") ? nil : "needs the program \(name)"
        case .kind(let text):
            let words = text.split(separator: "/").map(String.init)
            let version = words.dropLast().joined(separator: "/")
            guard words.count > 1, (try? await locator.type(kind: words[words.count - 1], apiVersion: version)) != nil
            else { return "needs the kind \(text)" }
            return nil
        }
    }

    private func countNodes() async -> Int {
        if let nodes { return nodes }
        let list = try? await ground.access.client.list(.nodes)
        let count = list?.list("items").count ?? 0
        nodes = count
        return count
    }

    private func holds(_ script: String) async -> Bool {
        if let known = programs[script] { return known }
        let result = try? await ground.scripts?("\(script) >/dev/null 2>&1", [:])
        programs[script] = result?.code == 0
        return result?.code == 0
    }
}
