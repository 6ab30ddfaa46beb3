import Basics
import Document

/// What the zone needs to know of a Service.
struct ZoneService: Sendable, Equatable {
    struct Port: Sendable, Equatable {
        var name: String
        var transport: String
        var number: UInt16
    }

    var namespace: String
    var name: String
    /// Empty for headless services and for names that stand for others.
    var addresses: [IPAddress] = []
    var isHeadless = false
    var externalName: String?
    var publishesNotReady = false
    var ports: [Port] = []

    init?(_ document: Document) {
        guard let name = document.text("metadata", "name"), let namespace = document.text("metadata", "namespace")
        else { return nil }
        self.name = name
        self.namespace = namespace
        publishesNotReady = document.flag("spec", "publishNotReadyAddresses") ?? false
        if document.text("spec", "type") == "ExternalName" {
            externalName = document.text("spec", "externalName")
            return
        }
        var texts = document.list("spec", "clusterIPs").compactMap(\.string)
        if texts.isEmpty, let only = document.text("spec", "clusterIP") { texts = [only] }
        isHeadless = texts.contains("None")
        addresses = texts.compactMap { IPAddress($0) }
        ports = document.list("spec", "ports").compactMap { port in
            port.number("port").flatMap(UInt16.init(exactly:)).map {
                Port(
                    name: port.text("name") ?? "", transport: (port.text("protocol") ?? "TCP").lowercased(), number: $0)
            }
        }
    }
}

/// What the zone needs to know of an EndpointSlice.
struct ZoneSlice: Sendable, Equatable {
    struct Endpoint: Sendable, Equatable {
        var address: IPAddress
        /// The first label of the endpoint's own name: its host name, or its address with dashes.
        var label: String
        var isReady: Bool
    }

    var namespace: String
    var service: String
    var endpoints: [Endpoint] = []
    var ports: [ZoneService.Port] = []

    init?(_ document: Document) {
        guard let namespace = document.text("metadata", "namespace"),
            let service = document.text("metadata", "labels", "kubernetes.io/service-name"),
            document.text("addressType") != "FQDN"
        else { return nil }
        self.namespace = namespace
        self.service = service
        for endpoint in document.list("endpoints") {
            let isReady = endpoint.flag("conditions", "ready") ?? true
            for text in endpoint.list("addresses").compactMap(\.string) {
                guard let address = IPAddress(text) else { continue }
                let label = endpoint.text("hostname") ?? Self.dashed(address)
                endpoints.append(Endpoint(address: address, label: label.lowercased(), isReady: isReady))
            }
        }
        ports = document.list("ports").compactMap { port in
            port.number("port").flatMap(UInt16.init(exactly:)).map {
                ZoneService.Port(
                    name: port.text("name") ?? "", transport: (port.text("protocol") ?? "TCP").lowercased(), number: $0)
            }
        }
    }

    static func dashed(_ address: IPAddress) -> String {
        String(decoding: address.description.utf8.map { $0 == 46 || $0 == 58 ? 45 : $0 }, as: UTF8.self)
    }

    /// The address that `dashed` made this label of.
    static func undashed(_ label: String) -> IPAddress? {
        for separator in [UInt8(ascii: "."), UInt8(ascii: ":")] {
            let text = String(decoding: label.utf8.map { $0 == 45 ? separator : $0 }, as: UTF8.self)
            if let address = IPAddress(text) { return address }
        }
        return nil
    }
}
