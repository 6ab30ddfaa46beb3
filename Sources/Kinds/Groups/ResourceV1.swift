import Schema

extension GroupText {
    static let resourceV1 = GroupText(
        group: "resource.k8s.io", version: "v1", package: "io.k8s.api.resource.v1",
        texts: """
            kind DeviceClass deviceclasses deviceclass cluster generation
              column Name string format=name "Name of the object."
              column Age string "Time since it was made."

            kind ResourceClaim resourceclaims resourceclaim namespaced
              /status get,patch,update
              column Name string format=name "Name of the object."
              column State string "Whether devices are allocated, and to whom."
              column Age string "Time since it was made."

            kind ResourceClaimTemplate resourceclaimtemplates resourceclaimtemplate namespaced
              column Name string format=name "Name of the object."
              column Age string "Time since it was made."

            kind ResourceSlice resourceslices resourceslice cluster generation
              column Name string format=name "Name of the object."
              column Node string "Node that has the devices."
              column Driver string "Driver of the devices."
              column Pool string "Pool that the slice belongs to."
              column Age string "Time since it was made."

            type AllocatedDeviceStatus order(driver,pool,device)  "What a driver says about an allocated device."
              conditions  [Condition] always map(type)  "State of the device, one entry a type."
              data        raw?  "Data of the driver's own form."
              device      string required  "Name of the device in the pool."
              driver      string required  "Its driver."
              networkData NetworkDeviceData?  "What concerns the network."
              pool        string required  "Its pool."
              shareID     string?  "Which share of the device it is."

            type AllocationResult  "What was allocated for a claim."
              allocationTimestamp time?  "When it was allocated."
              devices             DeviceAllocationResult  "The devices."
              nodeSelector        core/v1:NodeSelector?  "Nodes that can use them; all when absent."

            type CELDeviceSelector  "Selects devices by an expression."
              expression string required  "CEL over `device` that is true for the devices wanted."

            type CapacityRequestPolicy  "How a request for a part of a capacity is rounded."
              default     quantity?  "What a request gets that names no amount."
              validRange  CapacityRequestPolicyRange?  "Amounts by minimum, maximum and step."
              validValues [quantity] atomic  "Amounts one by one, in ascending order."

            type CapacityRequestPolicyRange  "Amounts by minimum, maximum and step."
              max  quantity?  "The largest amount."
              min  quantity? required  "The smallest amount."
              step quantity?  "Distance between amounts."

            type CapacityRequirements  "Parts of capacities that are asked for."
              requests {quantity}  "Amounts by the capacity's name."

            type Counter  "An amount that devices share."
              value quantity required  "How much there is."

            type CounterSet order(name,counters)  "Amounts that devices of a pool share."
              counters {Counter} required  "The amounts by name."
              name     string required  "Its name."

            type Device  "One device."
              allNodes                 bool?  "Whether every node can use it."
              allowMultipleAllocations bool?  "Whether several requests may share it."
              attributes               {DeviceAttribute}  "Its attributes by name."
              bindingConditions        [string] atomic  "Conditions that have to become true before a pod is bound."
              bindingFailureConditions [string] atomic  "Conditions that say that binding failed."
              bindsToNode              bool?  "Whether the allocation is bound to the node it was made for."
              capacity                 {DeviceCapacity}  "Its capacities by name."
              consumesCounters         [DeviceCounterConsumption] atomic  "What it takes from the pool's counters."
              name                     string required  "Its name, unique in the pool."
              nodeAllocatableResourceMappings {NodeAllocatableResourceMapping}  "Resources of the node that it takes, by their names."
              nodeName                 string?  "The node that can use it."
              nodeSelector             core/v1:NodeSelector?  "Nodes that can use it."
              taints                   [DeviceTaint] atomic  "Its taints."

            type DeviceAllocationConfiguration  "Configuration of allocated devices."
              opaque   OpaqueDeviceConfiguration?  "Configuration of the driver's own form."
              requests [string] atomic  "Requests that it is for; all when empty."
              source   string required  "FromClass or FromClaim."

            type DeviceAllocationResult  "Devices that were allocated."
              config  [DeviceAllocationConfiguration] atomic  "Their configuration, that of the class first."
              results [DeviceRequestAllocationResult] atomic  "The devices."

            type DeviceAttribute  "The value of an attribute; exactly one member is set."
              bool     bool?  "A truth value."
              bools    [bool] atomic  "Truth values."
              int      int64?  "A number."
              ints     [int64] atomic  "Numbers."
              string   string?  "A text."
              strings  [string] atomic  "Texts."
              version  string?  "A version as semver.org defines it."
              versions [string] atomic  "Versions."

            type DeviceCapacity  "A capacity of a device."
              requestPolicy CapacityRequestPolicy?  "How parts of it are given away."
              value         quantity required  "How much there is."

            type DeviceClaim  "Devices that are asked for."
              config      [DeviceClaimConfiguration] atomic  "Configuration of the devices."
              constraints [DeviceConstraint] atomic  "What has to hold between the devices."
              requests    [DeviceRequest] always atomic  "The requests; all have to be met."

            type DeviceClaimConfiguration  "Configuration of devices in a claim."
              opaque   OpaqueDeviceConfiguration?  "Configuration of the driver's own form."
              requests [string] atomic  "Requests that it is for; all when empty."

            type DeviceClass object  "Devices of a kind, and their configuration."
              spec DeviceClassSpec required  "Which devices, and how they are configured."

            type DeviceClassConfiguration  "Configuration of devices of a class."
              opaque OpaqueDeviceConfiguration?  "Configuration of the driver's own form."

            type DeviceClassSpec  "Which devices, and how they are configured."
              config               [DeviceClassConfiguration] atomic  "Configuration of the devices."
              extendedResourceName string?  "Name under which pods may ask for them as an extended resource."
              selectors            [DeviceSelector] atomic  "What a device has to satisfy."

            type DeviceConstraint  "What has to hold between devices of a claim."
              distinctAttribute string?  "Attribute that has to differ between them."
              matchAttribute    string?  "Attribute that has to be equal for all of them."
              requests          [string] atomic  "Requests that it is about; all when empty."

            type DeviceCounterConsumption  "What a device takes from a set of counters."
              counterSet string required  "Name of the set."
              counters   {Counter} required  "Amounts by the counter's name."

            type DeviceRequest  "A request for devices: exactly, or the first that is available."
              exactly        ExactDeviceRequest?  "The devices."
              firstAvailable [DeviceSubRequest] atomic  "Alternatives, the best first."
              name           string required  "Its name."

            type DeviceRequestAllocationResult order(request,driver,pool,device)  "A device that was allocated for a request."
              adminAccess              bool?  "Whether it is for administration, beside its users."
              bindingConditions        [string] atomic  "The device's binding conditions."
              bindingFailureConditions [string] atomic  "The device's conditions of failed binding."
              consumedCapacity         {quantity}  "What it takes of the device's capacities."
              device                   string required  "Name of the device in the pool."
              driver                   string required  "Its driver."
              pool                     string required  "Its pool."
              request                  string required  "The request, with the alternative behind a slash."
              shareID                  string?  "Which share of the device it is."
              tolerations              [DeviceToleration] atomic  "Tolerations of the request."

            type DeviceSelector  "What a device has to satisfy; exactly one member is set."
              cel CELDeviceSelector?  "An expression."

            type DeviceSubRequest order(name,deviceClassName)  "One of several ways to meet a request."
              allocationMode  string  "ExactCount or All."
              capacity        CapacityRequirements?  "Parts of capacities that are asked for."
              count           int64  "Number of devices."
              deviceClassName string required  "Class of the devices."
              name            string required  "Its name."
              selectors       [DeviceSelector] atomic  "What the devices have to satisfy beyond the class."
              tolerations     [DeviceToleration] atomic  "Taints that are accepted."

            type DeviceTaint order(key,effect)  "Keeps claims off a device."
              effect    string required  "What it does: None, NoSchedule or NoExecute."
              key       string required  "Its key."
              timeAdded time?  "When it was added."
              value     string  "Its value."

            type DeviceToleration  "Accepts taints of devices."
              effect            string  "Effect that is accepted; all when empty."
              key               string  "Key that is accepted; all when empty."
              operator          string = Equal  "Exists or Equal."
              tolerationSeconds int64?  "How long NoExecute is tolerated."
              value             string  "Value that is accepted."

            type ExactDeviceRequest  "Devices that are asked for."
              adminAccess     bool?  "Whether they are for administration, beside their users."
              allocationMode  string  "ExactCount or All."
              capacity        CapacityRequirements?  "Parts of capacities that are asked for."
              count           int64  "Number of devices."
              deviceClassName string required  "Class of the devices."
              selectors       [DeviceSelector] atomic  "What the devices have to satisfy beyond the class."
              tolerations     [DeviceToleration] atomic  "Taints that are accepted."
            """,
        """
        type NetworkDeviceData  "What a driver says about a network device."
          hardwareAddress string  "Its hardware address."
          interfaceName   string  "Name of the interface in the pod."
          ips             [string] atomic  "Its addresses with prefix lengths."

        type NodeAllocatableResourceMapping  "How a device takes from a resource of its node."
          allocationMultiplier quantity?  "Factor from the device or its capacity to the resource."
          capacityKey          string?  "Capacity that it is computed from; the number of devices when absent."

        type OpaqueDeviceConfiguration  "Configuration that only the driver understands."
          driver     string required  "The driver."
          parameters raw required  "The configuration."

        type ResourceClaim object  "Asks for devices, and records what was allocated."
          spec   ResourceClaimSpec required  "What is asked for; it never changes."
          status ResourceClaimStatus  "What was allocated."

        type ResourceClaimConsumerReference order(resource,name,uid)  "Who uses a claim."
          apiGroup string  "API group of the user."
          name     string required  "Its name."
          resource string required  "Its resource, such as pods."
          uid      string required  "Its unique identifier."

        type ResourceClaimSpec  "What a claim asks for."
          devices DeviceClaim  "The devices."

        type ResourceClaimStatus  "What was allocated for a claim, and who uses it."
          allocation  AllocationResult?  "What was allocated; absent until then."
          devices     [AllocatedDeviceStatus] map(driver,device,pool,shareID)  "What the drivers say about the devices."
          reservedFor [ResourceClaimConsumerReference] map(uid) merge(uid)  "Who may use the claim."

        type ResourceClaimTemplate object  "Makes claims for pods."
          spec ResourceClaimTemplateSpec required  "The claims to make; it never changes."

        type ResourceClaimTemplateSpec  "A claim to make."
          metadata ObjectMeta  "Labels and annotations of the claims."
          spec     ResourceClaimSpec required  "What the claims ask for."

        type ResourcePool order(name,generation,resourceSliceCount)  "The pool that a slice belongs to."
          generation         int64 required  "Counts changes of the pool; older slices are ignored."
          name               string required  "Its name."
          resourceSliceCount int64 required  "Number of slices in this generation."

        type ResourceSlice object  "Some of the devices that a driver offers."
          spec ResourceSliceSpec required  "The devices."

        type ResourceSliceSpec  "Devices of a pool, and who can use them."
          allNodes               bool?  "Whether every node can use them."
          devices                [Device] atomic  "The devices."
          driver                 string required  "Their driver."
          nodeName               string?  "The node that can use them."
          nodeSelector           core/v1:NodeSelector?  "Nodes that can use them."
          perDeviceNodeSelection bool?  "Whether each device says who can use it."
          pool                   ResourcePool required  "Their pool."
          sharedCounters         [CounterSet] atomic  "Amounts that devices of the pool share."
        """)
}
