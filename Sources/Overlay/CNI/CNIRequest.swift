import Basics
import Document

/// What a container runtime asks of a network plugin: variables of the environment, and a configuration on standard
/// input. https://www.cni.dev/docs/spec/
public struct CNIRequest: Sendable, Equatable {
    public enum Command: String, Sendable {
        case add = "ADD", delete = "DEL", check = "CHECK", collect = "GC", status = "STATUS", version = "VERSION"
    }

    /// A container's link, as a runtime names it.
    public struct Attachment: Sendable, Hashable {
        public var container: String
        public var interface: String

        /// In the ledger of addresses, apart from the pods that the node's own kubelet attaches.
        var key: String { "\(Overlay.foreignPrefix)\(container)/\(interface)" }
    }

    public static let versions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    private static let longestName = 256

    public var command: Command
    public var version: String
    public var attachment: Attachment?
    /// The path of the container's network namespace; nil where a deletion comes after its end.
    public var namespace: String?
    /// The pod addresses of this node.
    public var network: CIDR?
    public var stateDirectory: String
    public var mtu: Int
    /// What an earlier ADD answered.
    public var previous: Document?
    /// The attachments that are still valid; only GC has them.
    public var valid: Set<Attachment> = []

    public init(environment: [String: String], input: [UInt8]) throws(CNIError) {
        guard let command = Command(rawValue: environment["CNI_COMMAND"] ?? "") else {
            throw CNIError(.environment, "CNI_COMMAND is none of ADD, DEL, CHECK, GC, STATUS, VERSION")
        }
        self.command = command
        let configuration = try Self.configuration(input)
        version = configuration.text("cniVersion") ?? "0.1.0"
        stateDirectory = configuration.text("stateDirectory") ?? "/var/lib/overlay"
        mtu = 0
        if command == .version { return }
        guard Self.versions.contains(version) else {
            throw CNIError(
                .incompatibleVersion, "cniVersion \(version) is not known",
                details: "known are \(Self.versions.joined(separator: ", "))")
        }
        try Self.need(command, in: version)
        guard let name = configuration.text("name"), Self.isName(name) else {
            throw CNIError(.configuration, "the configuration has no valid name")
        }
        guard stateDirectory.hasPrefix("/"), !stateDirectory.utf8.contains(0) else {
            throw CNIError(.configuration, "stateDirectory is no absolute path")
        }
        network = try Self.network(configuration)
        mtu = try Self.mtu(configuration)
        previous = configuration["prevResult"]
        if previous != nil, previous?.isObject != true { throw CNIError(.decoding, "prevResult is no object") }
        if command == .collect { valid = try Self.valid(configuration, version) }
        if [.add, .delete, .check].contains(command) { try readContainer(environment) }
    }

    private static func configuration(_ input: [UInt8]) throws(CNIError) -> Document {
        let document: Document
        do { document = try Document(json: input) } catch {
            throw CNIError(.decoding, "the configuration is no JSON", details: "\(error)")
        }
        guard document.isObject else { throw CNIError(.decoding, "the configuration is no JSON object") }
        return document
    }

    /// Some commands came later than the oldest version.
    private static func need(_ command: Command, in version: String) throws(CNIError) {
        let isOld = version.hasPrefix("0.3")
        if command == .check, isOld {
            throw CNIError(.incompatibleVersion, "CHECK came with cniVersion 0.4.0, not \(version)")
        }
        if [.collect, .status].contains(command), version != "1.1.0" {
            throw CNIError(.incompatibleVersion, "\(command.rawValue) came with cniVersion 1.1.0, not \(version)")
        }
    }

    private static func network(_ configuration: Document) throws(CNIError) -> CIDR {
        guard let text = configuration.text("subnet") else {
            throw CNIError(
                .configuration, "the configuration has no subnet", details: "such as 10.244.1.0/24, this node's pods")
        }
        guard let network = CIDR(text), !network.base.isIPv6, (8...30).contains(network.prefix) else {
            throw CNIError(.configuration, "subnet '\(text)' is no IPv4 network of /8 to /30")
        }
        return network
    }

    private static func mtu(_ configuration: Document) throws(CNIError) -> Int {
        guard let value = configuration["mtu"], !value.isNull else { return 1_450 }
        guard let number = value.int, (576...65_535).contains(number) else {
            throw CNIError(.configuration, "mtu is no number from 576 to 65535")
        }
        return number
    }

    private static func valid(_ configuration: Document, _ version: String) throws(CNIError) -> Set<Attachment> {
        guard let list = configuration["cni.dev/valid-attachments"] ?? configuration["cni.dev/attachments"],
            list.isArray
        else {
            // Without the list everything would count as gone.
            throw CNIError(.configuration, "GC needs the list cni.dev/valid-attachments")
        }
        var found: Set<Attachment> = []
        for item in list.elements {
            guard let container = item.text("containerID"), isName(container), let interface = item.text("ifname"),
                isInterface(interface)
            else {
                throw CNIError(.decoding, "an entry of cni.dev/valid-attachments has no valid containerID and ifname")
            }
            found.insert(Attachment(container: container, interface: interface))
        }
        return found
    }

    private mutating func readContainer(_ environment: [String: String]) throws(CNIError) {
        let container = environment["CNI_CONTAINERID"] ?? ""
        guard Self.isName(container) else { throw CNIError(.environment, "CNI_CONTAINERID is missing or not valid") }
        let interface = environment["CNI_IFNAME"] ?? ""
        guard Self.isInterface(interface) else { throw CNIError(.environment, "CNI_IFNAME is missing or not valid") }
        attachment = Attachment(container: container, interface: interface)
        namespace = environment["CNI_NETNS"].flatMap { $0.isEmpty ? nil : $0 }
        if command != .delete, namespace == nil { throw CNIError(.environment, "CNI_NETNS is missing") }
        if let path = namespace, !path.hasPrefix("/") { throw CNIError(.environment, "CNI_NETNS is no absolute path") }
    }

    /// Starts with a letter or digit; then also dots, dashes and underscores.
    private static func isName(_ text: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...122).contains(byte | 32) }
        guard let first = text.utf8.first, isAlphanumeric(first), text.utf8.count <= longestName else { return false }
        return text.utf8.allSatisfy { isAlphanumeric($0) || [45, 46, 95].contains($0) }
    }

    /// As the kernel has it: up to 15 bytes, without slashes, colons and white space, and not `.` or `..`.
    private static func isInterface(_ text: String) -> Bool {
        (1...15).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy { $0 > 32 && $0 != 127 && $0 != 47 && $0 != 58 }
    }
}

/// Why a plugin could not do what it was asked for, by the specification's numbers.
public struct CNIError: Error, Sendable, Equatable {
    public enum Code: Int, Sendable {
        case incompatibleVersion = 1
        case unknownContainer = 3
        case environment = 4
        case inputOutput = 5
        case decoding = 6
        case configuration = 7
        case tryAgain = 11
        case notAvailable = 50
        /// The first of those that a plugin chooses itself: what CHECK found is not what ADD made.
        case notAsMade = 100
    }

    public var code: Code
    public var message: String
    public var details: String

    public init(_ code: Code, _ message: String, details: String = "") {
        self.code = code
        self.message = message
        self.details = details
    }

    public func document(version: String) -> Document {
        var document: Document = [
            "cniVersion": Document(version), "code": Document(code.rawValue), "msg": Document(message),
        ]
        if !details.isEmpty { document["details"] = Document(details) }
        return document
    }
}
