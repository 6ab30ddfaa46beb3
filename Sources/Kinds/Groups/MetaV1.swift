import Schema

extension GroupText {
    static let metaV1 = GroupText(
        group: "meta", version: "v1", package: "io.k8s.apimachinery.pkg.apis.meta.v1",
        texts: """
            type APIGroup
              apiVersion                 string
              kind                       string
              name                       string required
              preferredVersion           GroupVersionForDiscovery?
              serverAddressByClientCIDRs [ServerAddressByClientCIDR] atomic
              versions                   [GroupVersionForDiscovery] required atomic

            type APIGroupList
              apiVersion string
              groups     [APIGroup] required atomic
              kind       string

            type APIResource
              categories         [string] atomic
              group              string
              kind               string required
              name               string required
              namespaced         bool required
              shortNames         [string] atomic
              singularName       string required
              storageVersionHash string
              verbs              [string] required
              version            string

            type APIResourceList
              apiVersion   string
              groupVersion string required
              kind         string
              resources    [APIResource] required atomic

            type APIVersions
              apiVersion                 string
              kind                       string
              serverAddressByClientCIDRs [ServerAddressByClientCIDR] required atomic
              versions                   [string] required atomic

            type Condition
              lastTransitionTime time required
              message            string required
              observedGeneration int64
              reason             string required
              status             string required
              type               string required

            type DeleteOptions
              apiVersion                                       string
              dryRun                                           [string] atomic
              gracePeriodSeconds                               int64?
              ignoreStoreReadErrorWithClusterBreakingPotential bool?
              kind                                             string
              orphanDependents                                 bool?
              preconditions                                    Preconditions?
              propagationPolicy                                string?

            type FieldSelectorRequirement
              key      string required
              operator string required
              values   [string] atomic

            type GroupVersionForDiscovery
              groupVersion string required
              version      string required

            type LabelSelector atomic
              matchExpressions [LabelSelectorRequirement] atomic
              matchLabels      {string}

            type LabelSelectorRequirement
              key      string required
              operator string required
              values   [string] atomic

            type ListMeta
              continue           string
              remainingItemCount int64?
              resourceVersion    string
              selfLink           string
              shardInfo          ShardInfo?

            type ManagedFieldsEntry
              apiVersion  string
              fieldsType  string
              fieldsV1    fieldSet?
              manager     string
              operation   string
              subresource string
              time        time?

            type ObjectMeta
              annotations                {string}
              creationTimestamp          time?
              deletionGracePeriodSeconds int64?
              deletionTimestamp          time?
              finalizers                 [string] set merge
              generateName               string
              generation                 int64
              labels                     {string}
              managedFields              [ManagedFieldsEntry] atomic
              name                       string
              namespace                  string
              ownerReferences            [OwnerReference] map(uid) merge(uid)
              resourceVersion            string
              selfLink                   string
              uid                        string

            type OwnerReference atomic
              apiVersion         string required
              blockOwnerDeletion bool?
              controller         bool?
              kind               string required
              name               string required
              uid                string required

            type Preconditions
              resourceVersion string?
              uid             string?

            type ServerAddressByClientCIDR
              clientCIDR    string required
              serverAddress string required

            type ShardInfo
              selector string required

            type Status
              apiVersion string
              code       int32
              details    StatusDetails?
              kind       string
              message    string
              metadata   ListMeta?
              reason     string
              status     string

            type StatusCause
              field   string
              message string
              reason  string

            type StatusDetails
              causes            [StatusCause] atomic
              group             string
              kind              string
              name              string
              retryAfterSeconds int32
              uid               string

            type WatchEvent
              object raw? required
              type   string required
            """)
}
