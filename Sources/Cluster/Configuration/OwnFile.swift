import Basics
import Document
import Kinds
import Linux

/// Our own format, `lab.dev/v1`. What is not known here is refused: a silently ignored field is a wrong cluster.
enum OwnFile {
    static let fields = [
        "apiVersion", "kind", "name", "workers", "nodes", "networking", "apiPort", "imageArchives", "controllers",
        "leaderElection", "egress", "components",
    ]

    static func read(_ root: ConfigurationField) throws(UsageError) -> ClusterConfiguration {
        var configuration = ClusterConfiguration()
        var workers: (count: Int, field: ConfigurationField)?
        for (key, field) in try root.members(fields) {
            switch key {
            case "name": configuration.name = try name(field)
            case "workers":
                guard let count = field.value.int else {
                    throw field.refuse("workers must be a number", allowed: "write it like 'workers: 2'")
                }
                try ClusterConfiguration.check(workers: count)
                workers = (count, field)
            case "nodes": configuration.nodes = try nodes(field)
            case "networking": try NetworkingReader.read(field, into: &configuration)
            case "apiPort": configuration.apiPort = try field.port()
            case "imageArchives": configuration.imageArchives = try field.strings("paths")
            case "controllers": configuration.controllers = try field.strings("names")
            case "leaderElection": configuration.leaderElection = try field.bool()
            case "egress": configuration.egress = try field.bool()
            case "components": try components(field, into: &configuration)
            default: break  // apiVersion and kind have been looked at
            }
        }
        if let (count, field) = workers {
            guard root.value["nodes"] == nil else {
                throw field.refuse("workers and nodes exclude each other", allowed: "list the workers under nodes")
            }
            configuration.workers = count
        }
        return configuration
    }

    static func name(_ field: ConfigurationField) throws(UsageError) -> String {
        guard let name = field.value.string else { throw field.refuse("name must be a string", allowed: "quote it") }
        do { try ClusterConfiguration.check(name: name) } catch {
            throw field.refuse(error.message, allowed: error.remedy)
        }
        return name
    }

    // MARK: Nodes

    private static func nodes(_ field: ConfigurationField) throws(UsageError) -> [NodeConfiguration] {
        var nodes: [NodeConfiguration] = []
        for element in try field.elements() {
            let (node, count) = try node(element)
            nodes += Array(repeating: node, count: count)
        }
        return try NodeList.checked(nodes, field)
    }

    private static func node(_ field: ConfigurationField) throws(UsageError) -> (NodeConfiguration, count: Int) {
        var node = NodeConfiguration(role: try NodeReader.role(field))
        var count = 1
        for (key, value) in try field.members(NodeReader.ownFields)
        where try !NodeReader.readCommon(key, value, into: &node) {
            switch key {
            case "count": count = try value.number(1...ClusterConfiguration.mostWorkers)
            case "taints": node.taints = try NodeReader.taints(value)
            case "cpus": node.cpuMillis = try cpus(value)
            case "memory": node.memoryBytes = try memory(value)
            default: node.maxPods = try value.number(1...NodeConfiguration.mostPods)
            }
        }
        return (node, count)
    }

    static func cpus(_ field: ConfigurationField) throws(UsageError) -> Int64 {
        let millis = Int64(try NodeReader.quantity(field).milliValue)
        guard millis >= NodeConfiguration.leastMillis else {
            throw field.refuse("cpus is too little", allowed: "use at least \(NodeConfiguration.leastMillis)m")
        }
        return millis
    }

    static func memory(_ field: ConfigurationField) throws(UsageError) -> Int64 {
        let bytes = Int64(try NodeReader.quantity(field).value)
        guard bytes >= NodeConfiguration.leastMemory else {
            throw field.refuse("memory is too little for a node", allowed: "use at least 64Mi")
        }
        return bytes
    }

    // MARK: Components

    private static func components(
        _ field: ConfigurationField, into configuration: inout ClusterConfiguration
    ) throws(UsageError) {
        for (key, value) in try field.members(["apiServer", "scheduler"]) {
            if key == "apiServer" {
                try apiServer(value, into: &configuration.components)
                continue
            }
            for (key, value) in try value.members(["configFile", "config"]) {
                configuration.components.schedulerConfiguration =
                    key == "config" ? String(decoding: value.value.yaml, as: UTF8.self) : try text(of: value)
            }
        }
    }

    private static func apiServer(_ field: ConfigurationField, into components: inout Components) throws(UsageError) {
        for (key, value) in try field.members(["enableAdmissionPlugins", "disableAdmissionPlugins", "certSANs"]) {
            switch key {
            case "enableAdmissionPlugins": components.enabledAdmission = try ComponentReader.plugins(value)
            case "disableAdmissionPlugins": components.disabledAdmission = try ComponentReader.plugins(value)
            default: components.certificateNames = try ComponentReader.certificateNames(value)
            }
        }
    }

    private static func text(of field: ConfigurationField) throws(UsageError) -> String {
        let path = try field.string()
        do { return String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self) } catch {
            throw field.refuse("cannot read \(path): \(error)", allowed: "name a readable file")
        }
    }
}

/// What is true of the nodes of every file.
enum NodeList {
    /// The control plane first, which the order in the file need not be.
    static func checked(
        _ nodes: [NodeConfiguration], _ field: ConfigurationField
    ) throws(UsageError) -> [NodeConfiguration] {
        let controlPlanes = nodes.filter { $0.role == .controlPlane }
        let workers = nodes.filter { $0.role == .worker }
        guard controlPlanes.count == 1 else {
            let seconds = try field.elements().filter { (try? NodeReader.role($0)) == .controlPlane }
            throw (seconds.dropFirst().first ?? field).refuse(
                controlPlanes.isEmpty
                    ? "no node is a control plane" : "several control planes are not supported yet",
                allowed: "give exactly one node the role 'control-plane'")
        }
        guard workers.count <= ClusterConfiguration.mostWorkers else {
            throw field.refuse(
                "\(workers.count) workers are out of range", allowed: "list at most \(ClusterConfiguration.mostWorkers)"
            )
        }
        return controlPlanes + workers
    }
}
