extension FieldNumbers {
    /// See `FieldNumbers` for the form.
    static let infrastructure: StaticString = """
        package k8s.io.api.networking.v1
          HTTPIngressPath path=1 backend=2 pathType=3
          HTTPIngressRuleValue paths=1
          IPAddress metadata=1 spec=2
          IPAddressList metadata=1 items=2
          IPAddressSpec parentRef=1
          IPBlock cidr=1 except=2
          Ingress metadata=1 spec=2 status=3
          IngressBackend resource=3 service=4
          IngressClass metadata=1 spec=2
          IngressClassList metadata=1 items=2
          IngressClassParametersReference apiGroup=1 kind=2 name=3 scope=4 namespace=5
          IngressClassSpec controller=1 parameters=2
          IngressList metadata=1 items=2
          IngressLoadBalancerIngress ip=1 hostname=2 ports=4
          IngressLoadBalancerStatus ingress=1
          IngressPortStatus port=1 protocol=2 error=3
          IngressRule host=1 ingressRuleValue=2>IngressRuleValue
          IngressRuleValue http=1
          IngressServiceBackend name=1 port=2
          IngressSpec defaultBackend=1 tls=2 rules=3 ingressClassName=4
          IngressStatus loadBalancer=1
          IngressTLS hosts=1 secretName=2
          NetworkPolicy metadata=1 spec=2
          NetworkPolicyEgressRule ports=1 to=2
          NetworkPolicyIngressRule ports=1 from=2
          NetworkPolicyList metadata=1 items=2
          NetworkPolicyPeer podSelector=1 namespaceSelector=2 ipBlock=3
          NetworkPolicyPort protocol=1 port=2 endPort=3
          NetworkPolicySpec podSelector=1 ingress=2 egress=3 policyTypes=4
          ParentReference group=1 resource=2 namespace=3 name=4
          ServiceBackendPort name=1 number=2
          ServiceCIDR metadata=1 spec=2 status=3
          ServiceCIDRList metadata=1 items=2
          ServiceCIDRSpec cidrs=1
          ServiceCIDRStatus conditions=1
        package k8s.io.api.node.v1
          Overhead podFixed=1
          RuntimeClass metadata=1 handler=2 overhead=3 scheduling=4
          RuntimeClassList metadata=1 items=2
          Scheduling nodeSelector=1 tolerations=2
        package k8s.io.api.storage.v1
          CSIDriver metadata=1 spec=2
          CSIDriverList metadata=1 items=2
          CSIDriverSpec attachRequired=1 podInfoOnMount=2 volumeLifecycleModes=3 storageCapacity=4 fsGroupPolicy=5
            tokenRequests=6 requiresRepublish=7 seLinuxMount=8 nodeAllocatableUpdatePeriodSeconds=9
            serviceAccountTokenInSecrets=10 preventPodSchedulingIfMissing=11
          CSINode metadata=1 spec=2
          CSINodeDriver name=1 nodeID=2 topologyKeys=3 allocatable=4
          CSINodeList metadata=1 items=2
          CSINodeSpec drivers=1
          CSIStorageCapacity metadata=1 nodeTopology=2 storageClassName=3 capacity=4 maximumVolumeSize=5
          CSIStorageCapacityList metadata=1 items=2
          StorageClass metadata=1 provisioner=2 parameters=3 reclaimPolicy=4 mountOptions=5 allowVolumeExpansion=6
            volumeBindingMode=7 allowedTopologies=8
          StorageClassList metadata=1 items=2
          TokenRequest audience=1 expirationSeconds=2
          VolumeAttachment metadata=1 spec=2 status=3
          VolumeAttachmentList metadata=1 items=2
          VolumeAttachmentSource persistentVolumeName=1 inlineVolumeSpec=2
          VolumeAttachmentSpec attacher=1 source=2 nodeName=3
          VolumeAttachmentStatus attached=1 attachmentMetadata=2 attachError=3 detachError=4
          VolumeAttributesClass metadata=1 driverName=2 parameters=3
          VolumeAttributesClassList metadata=1 items=2
          VolumeError time=1 message=2 errorCode=3
          VolumeNodeResources count=1
        package k8s.io.api.core.v1
          TopologySelectorLabelRequirement key=1 values=2
          TopologySelectorTerm matchLabelExpressions=1
        """
}
