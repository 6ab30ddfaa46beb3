import Schema

extension GroupText {
    static let networkingV1 = GroupText(
        group: "networking.k8s.io", version: "v1", package: "io.k8s.api.networking.v1",
        texts: """
            kind IngressClass ingressclasses ingressclass cluster generation
              column Name string format=name "Name of the object."
              column Controller string "Controller that serves it."
              column Parameters string "Object with further settings."
              column Age string "Time since it was made."

            kind Ingress ingresses ingress namespaced generation short=ing
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Class string "Class of the ingress."
              column Hosts string "Host names that it routes."
              column Address string "Where it can be reached."
              column Ports string "Ports that it listens on."
              column Age string "Time since it was made."

            kind IPAddress ipaddresses ipaddress cluster short=ip
              column Name string format=name "Name of the object."
              column ParentRef string "Object that the address belongs to."

            kind NetworkPolicy networkpolicies networkpolicy namespaced generation short=netpol
              column Name string format=name "Name of the object."
              column Pod-Selector string "Labels of the pods it is about."
              column Age string "Time since it was made."

            kind ServiceCIDR servicecidrs servicecidr cluster
              /status get,patch,update
              column Name string format=name "Name of the object."
              column CIDRs string "Ranges of addresses."
              column Age string "Time since it was made."

            type HTTPIngressPath  "What becomes of requests for a path."
              pathType string? required values(Exact,ImplementationSpecific,Prefix)  "How the path is compared: Exact, Prefix or ImplementationSpecific."
              backend  IngressBackend required  "Where they go."
              path     string  "Path, or its beginning."

            type HTTPIngressRuleValue  "Paths of a host."
              paths [HTTPIngressPath] required atomic  "The paths."

            type IPAddress object  "An address that an object of the cluster has taken."
              spec IPAddressSpec required  "What is wanted."

            type IPAddressSpec  "Whom an address belongs to."
              parentRef ParentReference? required  "Object that the address belongs to."

            type IPBlock  "A range of addresses."
              cidr   string required  "The range."
              except [string] atomic  "Parts of it that are left out."

            type Ingress object  "Routes of HTTP requests from outside to services."
              spec   IngressSpec  "What is wanted."
              status IngressStatus  "What is there."

            type IngressBackend  "Where requests go; a service or a resource."
              resource core/v1:TypedLocalObjectReference?  "An object of the namespace."
              service  IngressServiceBackend?  "A service of the namespace."

            type IngressClass object  "A way to serve ingresses."
              spec IngressClassSpec  "What is wanted."

            type IngressClassParametersReference order(kind,name)  "An object with the settings of a class."
              apiGroup  string?  "API group of the object."
              kind      string required  "Kind of the object."
              name      string required  "Its name."
              namespace string?  "Its namespace, when it has one."
              scope     string? = Cluster  "Cluster or Namespace."

            type IngressClassSpec  "How ingresses of a class are served."
              controller string  "Controller that serves them."
              parameters IngressClassParametersReference?  "Object with further settings."

            type IngressLoadBalancerIngress  "An address of an ingress."
              hostname string  "Host name."
              ip       string  "Address."
              ports    [IngressPortStatus] atomic  "Ports."

            type IngressLoadBalancerStatus  "Where an ingress can be reached."
              ingress [IngressLoadBalancerIngress] atomic  "Its addresses."

            type IngressPortStatus  "State of a port of an ingress."
              error    string?  "What went wrong."
              port     int32 required  "Port number."
              protocol string required  "Protocol: TCP, UDP or SCTP."

            type IngressRule  "What becomes of requests for a host."
              host string  "Host name, may begin with *."
              http HTTPIngressRuleValue?  "Its paths."

            type IngressServiceBackend  "A service as a backend."
              name string required  "Its name."
              port ServiceBackendPort  "Its port."

            type IngressSpec  "What an ingress routes."
              defaultBackend   IngressBackend?  "Where requests go that no rule is about."
              ingressClassName string?  "Class of the ingress."
              rules            [IngressRule] atomic  "Rules by host and path."
              tls              [IngressTLS] atomic  "Hosts that are served encrypted."

            type IngressStatus  "State of an ingress."
              loadBalancer IngressLoadBalancerStatus  "Where it can be reached."

            type IngressTLS  "Certificate for hosts."
              hosts      [string] atomic  "Host names of the certificate."
              secretName string  "Secret with the certificate and its key."

            type NetworkPolicy object  "Which traffic some pods accept and send."
              spec NetworkPolicySpec  "What is wanted."

            type NetworkPolicyEgressRule  "Traffic that pods may send."
              ports [NetworkPolicyPort] atomic  "Ports it may go to, all when empty."
              to    [NetworkPolicyPeer] atomic  "Where it may go, anywhere when empty."

            type NetworkPolicyIngressRule  "Traffic that pods accept."
              from  [NetworkPolicyPeer] atomic  "Where it may come from, anywhere when empty."
              ports [NetworkPolicyPort] atomic  "Ports it may come to, all when empty."

            type NetworkPolicyPeer  "The other side of traffic."
              ipBlock           IPBlock?  "Addresses; excludes the selectors."
              namespaceSelector LabelSelector?  "Namespaces of the pods."
              podSelector       LabelSelector?  "Labels of the pods."

            type NetworkPolicyPort  "A port or a range of ports."
              endPort  int32?  "Last port of a range that begins with the port."
              port     intOrString?  "Number or name, all when absent."
              protocol string? = TCP  "Protocol: TCP, UDP or SCTP."

            type NetworkPolicySpec  "What a policy allows."
              egress      [NetworkPolicyEgressRule] atomic  "Traffic that the pods may send."
              ingress     [NetworkPolicyIngressRule] atomic  "Traffic that the pods accept."
              podSelector LabelSelector  "Pods that the policy is about, all of the namespace when empty."
              policyTypes [string] atomic values(Egress,Ingress)  "Directions that the policy limits: Ingress, Egress."

            type ParentReference order(resource,name)  "An object that something belongs to."
              group     string  "API group of the object."
              name      string required  "Its name."
              namespace string  "Its namespace."
              resource  string required  "Its resource."

            type ServiceBackendPort atomic  "A port of a service, by name or number."
              name   string  "Its name."
              number int32  "Its number."

            type ServiceCIDR object  "Ranges that services get their addresses from."
              spec   ServiceCIDRSpec  "What is wanted."
              status ServiceCIDRStatus  "What is there."

            type ServiceCIDRSpec  "Ranges for services."
              cidrs [string] atomic  "One range, or one of each address family."

            type ServiceCIDRStatus  "State of ranges for services."
              conditions [Condition] map(type) merge(type)  "State of the object, one entry a type."
            """)
}
