extension FieldNumbers {
    /// See `FieldNumbers` for the form.
    static let infrastructure: StaticString = """
        package k8s.io.api.coordination.v1
          Lease metadata=1 spec=2
          LeaseList metadata=1 items=2
          LeaseSpec holderIdentity=1 leaseDurationSeconds=2 acquireTime=3 renewTime=4 leaseTransitions=5
            strategy=6 preferredHolder=7
        package k8s.io.api.discovery.v1
          Endpoint addresses=1 conditions=2 hostname=3 targetRef=4 deprecatedTopology=5 nodeName=6 zone=7
            hints=8
          EndpointConditions ready=1 serving=2 terminating=3
          EndpointHints forZones=1 forNodes=2
          EndpointPort name=1 protocol=2 port=3 appProtocol=4
          EndpointSlice metadata=1 endpoints=2 ports=3 addressType=4
          EndpointSliceList metadata=1 items=2
          ForNode name=1
          ForZone name=1
        package k8s.io.api.events.v1
          Event metadata=1 eventTime=2 series=3 reportingController=4 reportingInstance=5 action=6 reason=7
            regarding=8 related=9 note=10 type=11 deprecatedSource=12 deprecatedFirstTimestamp=13
            deprecatedLastTimestamp=14 deprecatedCount=15
          EventList metadata=1 items=2
          EventSeries count=1 lastObservedTime=2
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
        package k8s.io.api.resource.v1
          AllocatedDeviceStatus driver=1 pool=2 device=3 conditions=4 data=5 networkData=6 shareID=7
          AllocationResult devices=1 nodeSelector=3 allocationTimestamp=5
          CELDeviceSelector expression=1
          CapacityRequestPolicy default=1 validValues=3 validRange=4
          CapacityRequestPolicyRange min=1 max=2 step=3
          CapacityRequirements requests=1
          Counter value=1
          CounterSet name=1 counters=2
          Device name=1 attributes=2 capacity=3 consumesCounters=4 nodeName=5 nodeSelector=6 allNodes=7
            taints=8 bindsToNode=9 bindingConditions=10 bindingFailureConditions=11
            allowMultipleAllocations=12 nodeAllocatableResourceMappings=13
          DeviceAllocationConfiguration source=1 requests=2 deviceConfiguration=3>DeviceConfiguration
          DeviceAllocationResult results=1 config=2
          DeviceAttribute int=2 bool=3 string=4 version=5 ints=6 bools=7 strings=8 versions=9
          DeviceCapacity value=1 requestPolicy=2
          DeviceClaim requests=1 constraints=2 config=3
          DeviceClaimConfiguration requests=1 deviceConfiguration=2>DeviceConfiguration
          DeviceClass metadata=1 spec=2
          DeviceClassConfiguration deviceConfiguration=1>DeviceConfiguration
          DeviceClassList metadata=1 items=2
          DeviceClassSpec selectors=1 config=2 extendedResourceName=4
          DeviceConfiguration opaque=1
          DeviceConstraint requests=1 matchAttribute=2 distinctAttribute=3
          DeviceCounterConsumption counterSet=1 counters=2
          DeviceRequest name=1 exactly=2 firstAvailable=3
          DeviceRequestAllocationResult request=1 driver=2 pool=3 device=4 adminAccess=5 tolerations=6
            bindingConditions=7 bindingFailureConditions=8 shareID=9 consumedCapacity=10
          DeviceSelector cel=1
          DeviceSubRequest name=1 deviceClassName=2 selectors=3 allocationMode=4 count=5 tolerations=6
            capacity=7
          DeviceTaint key=1 value=2 effect=3 timeAdded=4
          DeviceToleration key=1 operator=2 value=3 effect=4 tolerationSeconds=5
          ExactDeviceRequest deviceClassName=1 selectors=2 allocationMode=3 count=4 adminAccess=5
            tolerations=6 capacity=7
          NetworkDeviceData interfaceName=1 ips=2 hardwareAddress=3
          NodeAllocatableResourceMapping capacityKey=1 allocationMultiplier=2
          OpaqueDeviceConfiguration driver=1 parameters=2
          ResourceClaim metadata=1 spec=2 status=3
          ResourceClaimConsumerReference apiGroup=1 resource=3 name=4 uid=5
          ResourceClaimList metadata=1 items=2
          ResourceClaimSpec devices=1
          ResourceClaimStatus allocation=1 reservedFor=2 devices=4
          ResourceClaimTemplate metadata=1 spec=2
          ResourceClaimTemplateList metadata=1 items=2
          ResourceClaimTemplateSpec metadata=1 spec=2
          ResourcePool name=1 generation=2 resourceSliceCount=3
          ResourceSlice metadata=1 spec=2
          ResourceSliceList metadata=1 items=2
          ResourceSliceSpec driver=1 pool=2 nodeName=3 nodeSelector=4 allNodes=5 devices=6
            perDeviceNodeSelection=7 sharedCounters=8
        package k8s.io.api.scheduling.v1
          PriorityClass metadata=1 value=2 globalDefault=3 description=4 preemptionPolicy=5
          PriorityClassList metadata=1 items=2
        package k8s.io.api.storage.v1
          CSIDriver metadata=1 spec=2
          CSIDriverList metadata=1 items=2
          CSIDriverSpec attachRequired=1 podInfoOnMount=2 volumeLifecycleModes=3 storageCapacity=4
            fsGroupPolicy=5 tokenRequests=6 requiresRepublish=7 seLinuxMount=8
            nodeAllocatableUpdatePeriodSeconds=9 serviceAccountTokenInSecrets=10
            preventPodSchedulingIfMissing=11
          CSINode metadata=1 spec=2
          CSINodeDriver name=1 nodeID=2 topologyKeys=3 allocatable=4
          CSINodeList metadata=1 items=2
          CSINodeSpec drivers=1
          CSIStorageCapacity metadata=1 nodeTopology=2 storageClassName=3 capacity=4 maximumVolumeSize=5
          CSIStorageCapacityList metadata=1 items=2
          StorageClass metadata=1 provisioner=2 parameters=3 reclaimPolicy=4 mountOptions=5
            allowVolumeExpansion=6 volumeBindingMode=7 allowedTopologies=8
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
        """
}
