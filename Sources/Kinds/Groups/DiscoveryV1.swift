import Schema

extension GroupText {
    static let discoveryV1 = GroupText(
        group: "discovery.k8s.io", version: "v1", package: "io.k8s.api.discovery.v1",
        texts: """
            kind EndpointSlice endpointslices endpointslice namespaced generation
              column Name string format=name "Name of the object."
              column AddressType string "Kind of address."
              column Ports string "Ports."
              column Endpoints string "Addresses behind it."
              column Age string "Time since it was made."

            type Endpoint  "An endpoint of a service."
              addresses          [string] required set  "Its addresses."
              conditions         EndpointConditions  "Its state."
              deprecatedTopology {string}  "Topology of the old form."
              hints              EndpointHints?  "Who should use it."
              hostname           string? format=dns-label  "Host name."
              nodeName           string?  "Name of the node."
              targetRef          core/v1:ObjectReference?  "Object behind the address."
              zone               string?  "Zone."

            type EndpointConditions  "State of an endpoint."
              ready       bool?  "Whether it takes traffic; unknown counts as yes."
              serving     bool?  "Whether it could take traffic, also while ending."
              terminating bool?  "Whether it is ending."

            type EndpointHints  "Who should use an endpoint."
              forNodes [ForNode] atomic  "Nodes that should."
              forZones [ForZone] atomic  "Zones that should."

            type EndpointPort atomic  "A port of endpoints."
              appProtocol string?  "Application protocol on the port."
              name        string? = ""  "Its name."
              port        int32?  "Port number."
              protocol    string? = TCP enum(SCTP,TCP,UDP)  "Protocol: TCP, UDP or SCTP."

            type EndpointSlice object  "Some of the endpoints of a service."
              addressType string required nonempty immutable enum(FQDN,IPv4,IPv6)  "Kind of address."
              endpoints   [Endpoint] always atomic  "The endpoints."
              ports       [EndpointPort] always atomic  "Their ports."

            type ForNode  "A node."
              name string required  "Its name."

            type ForZone  "A zone."
              name string required  "Its name."
            """)
}
