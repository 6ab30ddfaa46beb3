extension StaticString {
    static let coreV1Pods: StaticString = """
        type HostAlias
          hostnames [string] atomic
          ip        string required

        type HostIP
          ip string required

        type Pod object
          spec   PodSpec
          status PodStatus

        type PodCondition
          lastProbeTime      time
          lastTransitionTime time
          message        string
          observedGeneration int64
          reason         string
          status         string required
          type           string required

        type PodDNSConfig
          nameservers [string] atomic
          options     [PodDNSConfigOption] atomic
          searches    [string] atomic

        type PodDNSConfigOption
          name  string
          value string?

        type PodExtendedResourceClaimStatus
          requestMappings   [ContainerExtendedResourceRequest] required atomic
          resourceClaimName string required

        type PodIP
          ip string required

        type PodOS
          name string required enum(linux,windows)

        type PodReadinessGate
          conditionType string required format=qualified-name

        type PodResourceClaim
          name                  string required nonempty
          resourceClaimName         string?
          resourceClaimTemplateName string?

        type PodResourceClaimStatus
          name          string required
          resourceClaimName string?

        type PodSecurityContext
          appArmorProfile          AppArmorProfile?
          fsGroup              int64? min=0 max=2147483647
          fsGroupChangePolicy      string? enum(Always,OnRootMismatch)
          runAsGroup           int64? min=0 max=2147483647
          runAsNonRoot         bool?
          runAsUser            int64? min=0 max=2147483647
          seLinuxChangePolicy      string?
          seLinuxOptions           SELinuxOptions?
          seccompProfile           SeccompProfile?
          supplementalGroups       [int64] atomic
          supplementalGroupsPolicy string? enum(Merge,Strict)
          sysctls              [Sysctl] atomic
          windowsOptions           WindowsSecurityContextOptions?

        type PodSpec
          activeDeadlineSeconds         int64? min=1
          affinity                  Affinity?
          automountServiceAccountToken  bool?
          containers                [Container] required nonempty map(name) merge(name)
          dnsConfig                 PodDNSConfig?
          dnsPolicy                 string = ClusterFirst enum(ClusterFirstWithHostNet,ClusterFirst,Default,None)
          enableServiceLinks        bool?
          ephemeralContainers           [EphemeralContainer] map(name) merge(name)
          hostAliases               [HostAlias] map(ip) merge(ip)
          hostIPC                   bool
          hostNetwork               bool
          hostPID                   bool
          hostUsers                 bool?
          hostname                  string format=dns-label
          hostnameOverride          string?
          imagePullSecrets          [LocalObjectReference] map(name) merge(name)
          initContainers            [Container] map(name) merge(name)
          nodeName                  string format=dns-subdomain
          nodeSelector              {string} atomic
          os                    PodOS?
          overhead                  {quantity}
          preemptionPolicy          string?
          priority                  int32?
          priorityClassName         string
          readinessGates            [PodReadinessGate] atomic
          resourceClaims            [PodResourceClaim] map(name) merge(name) retainKeys
          resources                 ResourceRequirements?
          restartPolicy             string = Always enum(Always,OnFailure,Never)
          runtimeClassName          string? format=dns-subdomain
          schedulerName             string = default-scheduler
          schedulingGates           [PodSchedulingGate] map(name) merge(name)
          schedulingGroup           PodSchedulingGroup?
          securityContext           PodSecurityContext? = {}
          serviceAccount            string
          serviceAccountName        string format=dns-subdomain
          setHostnameAsFQDN         bool?
          shareProcessNamespace         bool?
          subdomain                 string format=dns-label
          terminationGracePeriodSeconds int64? = 30
          tolerations               [Toleration] atomic
          topologySpreadConstraints     [TopologySpreadConstraint] map(topologyKey,whenUnsatisfiable) merge(topologyKey)
          volumes                   [Volume] map(name) merge(name) retainKeys

        type PodStatus
          allocatedResources               {quantity}
          conditions                   [PodCondition] map(type) merge(type)
          containerStatuses                [ContainerStatus] atomic
          ephemeralContainerStatuses           [ContainerStatus] atomic
          extendedResourceClaimStatus          PodExtendedResourceClaimStatus?
          hostIP                       string
          hostIPs                      [HostIP] atomic merge(ip)
          initContainerStatuses            [ContainerStatus] atomic
          message                      string
          nodeAllocatableResourceClaimStatuses [NodeAllocatableResourceClaimStatus] atomic
          nominatedNodeName                string
          observedGeneration               int64
          phase                        string enum(Pending,Running,Succeeded,Failed,Unknown)
          podIP                        string
          podIPs                       [PodIP] map(ip) merge(ip)
          qosClass                     string
          reason                       string
          resize                       string
          resourceClaimStatuses            [PodResourceClaimStatus] map(name) merge(name) retainKeys
          resources                    ResourceRequirements?
          startTime                    time?

        type PodTemplate object
          template PodTemplateSpec

        type PodTemplateSpec
          metadata ObjectMeta
          spec     PodSpec

        type Sysctl
          name  string required
          value string required
        """
}
