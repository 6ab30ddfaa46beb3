extension StaticString {
    static let coreV1Nodes: StaticString = """
        type ConfigMapNodeConfigSource
          kubeletConfigKey string required
          name         string required
          namespace        string required
          resourceVersion  string
          uid          string

        type ContainerImage
          names     [string] atomic
          sizeBytes int64

        type DaemonEndpoint
          Port int32 required

        type Node object
          spec   NodeSpec
          status NodeStatus

        type NodeAddress
          address string required
          type    string required

        type NodeAllocatableResourceClaimStatus
          containers        [string] set
          resourceClaimName string required
          resources         {quantity} required

        type NodeCondition
          lastHeartbeatTime  time
          lastTransitionTime time
          message        string
          reason         string
          status         string required
          type           string required

        type NodeConfigSource
          configMap ConfigMapNodeConfigSource?

        type NodeConfigStatus
          active        NodeConfigSource?
          assigned      NodeConfigSource?
          error         string
          lastKnownGood NodeConfigSource?

        type NodeDaemonEndpoints
          kubeletEndpoint DaemonEndpoint

        type NodeFeatures
          supplementalGroupsPolicy bool?

        type NodeRuntimeHandler
          features NodeRuntimeHandlerFeatures?
          name     string

        type NodeRuntimeHandlerFeatures
          recursiveReadOnlyMounts bool?
          userNamespaces          bool?

        type NodeSpec
          configSource  NodeConfigSource?
          externalID    string
          podCIDR       string
          podCIDRs      [string] set merge
          providerID    string
          taints        [Taint] atomic
          unschedulable bool

        type NodeStatus
          addresses        [NodeAddress] map(type) merge(type)
          allocatable      {quantity}
          capacity         {quantity}
          conditions       [NodeCondition] map(type) merge(type)
          config           NodeConfigStatus?
          daemonEndpoints  NodeDaemonEndpoints
          declaredFeatures [string] atomic
          features         NodeFeatures?
          images           [ContainerImage] atomic
          nodeInfo         NodeSystemInfo
          phase        string
          runtimeHandlers  [NodeRuntimeHandler] atomic
          volumesAttached  [AttachedVolume] atomic
          volumesInUse     [string] atomic

        type NodeSwapStatus
          capacity int64?

        type NodeSystemInfo
          architecture        string required
          bootID              string required
          containerRuntimeVersion string required
          kernelVersion           string required
          kubeProxyVersion        string required
          kubeletVersion          string required
          machineID           string required
          operatingSystem         string required
          osImage             string required
          swap                NodeSwapStatus?
          systemUUID          string required
        """
}
