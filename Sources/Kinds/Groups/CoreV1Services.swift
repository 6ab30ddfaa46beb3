extension StaticString {
    static let coreV1Services: StaticString = """
        type ClientIPConfig
          timeoutSeconds int32?

        type EndpointAddress atomic
          hostname  string
          ip        string required
          nodeName  string?
          targetRef ObjectReference?

        type EndpointPort atomic
          appProtocol string?
          name        string
          port        int32 required min=1 max=65535
          protocol    string = TCP enum(SCTP,TCP,UDP)

        type EndpointSubset
          addresses         [EndpointAddress] atomic
          notReadyAddresses [EndpointAddress] atomic
          ports         [EndpointPort] atomic

        type Endpoints object
          subsets [EndpointSubset] atomic

        type LoadBalancerIngress
          hostname string
          ip       string
          ipMode   string?
          ports    [PortStatus] atomic

        type LoadBalancerStatus
          ingress [LoadBalancerIngress] atomic

        type PortStatus
          error    string?
          port     int32 required
          protocol string required

        type Service object
          spec   ServiceSpec
          status ServiceStatus

        type ServicePort
          appProtocol string? format=qualified-name
          name        string
          nodePort    int32
          port        int32 required min=1 max=65535
          protocol    string default=TCP enum(SCTP,TCP,UDP)
          targetPort  intOrString

        type ServiceSpec
          allocateLoadBalancerNodePorts bool?
          clusterIP                 string
          clusterIPs                [string] atomic
          externalIPs               [string] atomic
          externalName              string
          externalTrafficPolicy         string enum(Cluster,Local)
          healthCheckNodePort           int32
          internalTrafficPolicy         string? enum(Cluster,Local)
          ipFamilies                [string] atomic
          ipFamilyPolicy            string? enum(PreferDualStack,RequireDualStack,SingleStack)
          loadBalancerClass         string?
          loadBalancerIP            string
          loadBalancerSourceRanges      [string] atomic
          ports                 [ServicePort] map(port,protocol) merge(port)
          publishNotReadyAddresses      bool
          selector                  {string} atomic
          sessionAffinity           string = None enum(ClientIP,None)
          sessionAffinityConfig         SessionAffinityConfig?
          trafficDistribution           string?
          type                  string = ClusterIP enum(ClusterIP,ExternalName,LoadBalancer,NodePort)

        type ServiceStatus
          conditions   [Condition] map(type) merge(type)
          loadBalancer LoadBalancerStatus
        """
}
