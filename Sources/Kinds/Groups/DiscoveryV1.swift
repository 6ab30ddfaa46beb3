import Schema

extension GroupText {
    static let discoveryV1 = GroupText(
        group: "discovery.k8s.io", version: "v1", package: "io.k8s.api.discovery.v1",
        texts: """
            kind EndpointSlice endpointslices endpointslice namespaced generation
              column Name string format=name ""
              column AddressType string ""
              column Ports string ""
              column Endpoints string ""
              column Age string ""

            type Endpoint
              addresses          [string] required set
              conditions         EndpointConditions
              deprecatedTopology {string}
              hints              EndpointHints?
              hostname           string? format=dns-label
              nodeName           string?
              targetRef          core/v1:ObjectReference?
              zone               string?

            type EndpointConditions
              ready       bool?
              serving     bool?
              terminating bool?

            type EndpointHints
              forNodes [ForNode] atomic
              forZones [ForZone] atomic

            type EndpointPort atomic
              appProtocol string?
              name        string? = ""
              port        int32?
              protocol    string? = TCP enum(SCTP,TCP,UDP)

            type EndpointSlice object
              addressType string required nonempty immutable enum(FQDN,IPv4,IPv6)
              endpoints   [Endpoint] always atomic
              ports       [EndpointPort] always atomic

            type ForNode
              name string required

            type ForZone
              name string required
            """)
}
