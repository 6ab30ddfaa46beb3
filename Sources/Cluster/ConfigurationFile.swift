import Document

/// The file behind `lab create --config`:
///
///     apiVersion: lab.dev/v1
///     kind: Cluster
///     name: blue
///     workers: 3
///     apiPort: 16443
///     imageArchives: [app.tar]
///     controllers: ["*", "-cronjob-controller"]
///     leaderElection: false
///     egress: false
///
/// What is not known here is refused with its line and column: a silently ignored field is a wrong cluster.
public enum ConfigurationFile {
    public static func parse(_ bytes: [UInt8], name file: String) throws(UsageError) -> ClusterConfiguration {
        let document: Document
        let positions: YAMLPositions
        do { (document, positions) = try Document.yamlWithPositions(bytes) } catch {
            throw UsageError("\(file): \(error)", remedy: "the file must be one YAML document")
        }
        func fail(_ path: String, _ message: String, _ remedy: String) -> UsageError {
            let place = (positions.key(path) ?? positions[path]).map { "line \($0.line), column \($0.column): " } ?? ""
            return UsageError("\(file): \(place)\(message)", remedy: remedy)
        }
        guard document.isObject else {
            throw UsageError(
                "\(file): a mapping is expected", remedy: "begin with 'apiVersion: \(ClusterConfiguration.apiVersion)'")
        }
        var configuration = ClusterConfiguration()
        for member in document.members {
            let value = member.value
            switch member.key {
            case "apiVersion":
                guard value.string == ClusterConfiguration.apiVersion else {
                    throw fail("apiVersion", "unknown apiVersion", "use '\(ClusterConfiguration.apiVersion)'")
                }
            case "kind":
                guard value.string == "Cluster" else { throw fail("kind", "unknown kind", "use 'Cluster'") }
            case "name":
                guard let name = value.string else { throw fail("name", "name must be a string", "quote it") }
                configuration.name = name
            case "workers":
                guard let count = value.int else {
                    throw fail("workers", "workers must be a number", "write it like 'workers: 2'")
                }
                configuration.workers = count
            case "apiPort":
                guard let port = value.int.flatMap({ UInt16(exactly: $0) }), port > 0 else {
                    throw fail("apiPort", "apiPort must be a port", "use a number from 1 to 65535")
                }
                configuration.apiPort = port
            case "imageArchives":
                let paths = value.elements.compactMap(\.string)
                guard value.isArray, paths.count == value.count else {
                    throw fail("imageArchives", "imageArchives must be a list of paths", "write it like '[app.tar]'")
                }
                configuration.imageArchives = paths
            case "controllers":
                let names = value.elements.compactMap(\.string)
                guard value.isArray, names.count == value.count else {
                    throw fail(
                        "controllers", "controllers must be a list of names", "write it like '[\"*\", \"-NAME\"]'")
                }
                configuration.controllers = names
            case "leaderElection":
                guard let isOn = value.bool else {
                    throw fail("leaderElection", "leaderElection must be true or false", "leave out the quotes")
                }
                configuration.leaderElection = isOn
            case "egress":
                guard let isOn = value.bool else {
                    throw fail("egress", "egress must be true or false", "leave out the quotes")
                }
                configuration.egress = isOn
            default:
                throw fail(
                    member.key, "unknown field '\(member.key)'",
                    "known are apiVersion, kind, name, workers, apiPort, imageArchives, controllers, leaderElection, "
                        + "egress")
            }
        }
        return configuration
    }
}
