import Schema

// Types that no object of the API has, but that travel between clients and servers.

extension GroupText {
    /// Parameters of requests, which clients may also send as bodies.
    static let metaV1Options = GroupText(
        group: "meta", version: "v1", package: "io.k8s.apimachinery.pkg.apis.meta.v1", isServed: false,
        texts: """
            type CreateOptions  "How to create."
              apiVersion      string  "Group and version of the object."
              dryRun          [string] atomic  "All: nothing is stored."
              fieldManager    string  "Who writes, for the bookkeeping of fields."
              fieldValidation string  "What happens to unknown fields: Ignore, Warn or Strict."
              kind            string  "Kind of the object."

            type UpdateOptions  "How to update."
              apiVersion      string  "Group and version of the object."
              dryRun          [string] atomic  "All: nothing is stored."
              fieldManager    string  "Who writes, for the bookkeeping of fields."
              fieldValidation string  "What happens to unknown fields: Ignore, Warn or Strict."
              kind            string  "Kind of the object."

            type PatchOptions  "How to patch."
              apiVersion      string  "Group and version of the object."
              dryRun          [string] atomic  "All: nothing is stored."
              fieldManager    string  "Who writes, for the bookkeeping of fields."
              fieldValidation string  "What happens to unknown fields: Ignore, Warn or Strict."
              force           bool?  "Takes fields from other managers."
              kind            string  "Kind of the object."

            type GroupVersionKind  "A kind's full name."
              group   string required  "API group."
              kind    string required  "Kind of the object."
              version string required  "Version of the group."

            type GroupVersionResource  "A resource's full name."
              group    string required  "API group."
              resource string required  "Plural name."
              version  string required  "Version of the group."

            type PartialObjectMetadata object  "An object without its content."

            type PartialObjectMetadataList  "Objects without their content."
              apiVersion string  "Group and version of the object."
              items      [PartialObjectMetadata] required  "The objects."
              kind       string  "Kind of the object."
              metadata   ListMeta  "About the list."

            type GetOptions  "How to read."
              apiVersion      string  "Group and version of the object."
              kind            string  "Kind of the object."
              resourceVersion string  "Version that the answer must at least have."

            type ListOptions  "What to list."
              allowWatchBookmarks  bool  "Whether the client understands bookmarks."
              apiVersion           string  "Group and version of the object."
              continue             string  "Where the next page begins."
              fieldSelector        string  "Selects by fields."
              kind                 string  "Kind of the object."
              labelSelector        string  "Selects by labels."
              limit                int64  "Most items of a page."
              resourceVersion      string  "Version of the list."
              resourceVersionMatch string  "How the version is meant."
              sendInitialEvents    bool?  "Begins a watch with what exists."
              shardSelector        string  "Selects a part of the list."
              timeoutSeconds       int64?  "Longest time of a watch."
              watch                bool  "Streams changes instead of listing."
            """)

    static let coreV1Options = GroupText(
        group: "", version: "v1", package: "io.k8s.api.core.v1", isServed: false,
        texts: """
            type NodeProxyOptions  "Which path of a node is meant."
              apiVersion string  "Group and version of the object."
              kind       string  "Kind of the object."
              path       string  "Path of the request."

            type PodProxyOptions  "Which path of a pod is meant."
              apiVersion string  "Group and version of the object."
              kind       string  "Kind of the object."
              path       string  "Path of the request."

            type ServiceProxyOptions  "Which path of a service is meant."
              apiVersion string  "Group and version of the object."
              kind       string  "Kind of the object."
              path       string  "Path of the request."

            type PodAttachOptions  "How to attach to a container."
              apiVersion string  "Group and version of the object."
              container  string  "Name of the container."
              kind       string  "Kind of the object."
              stderr     bool  "Whether standard error is wanted."
              stdin      bool  "Whether standard input is given."
              stdout     bool  "Whether standard output is wanted."
              tty        bool  "Whether it is a terminal."

            type PodExecOptions  "What to run in a container."
              apiVersion string  "Group and version of the object."
              command    [string] atomic  "Program and arguments."
              container  string  "Name of the container."
              kind       string  "Kind of the object."
              stderr     bool  "Whether standard error is wanted."
              stdin      bool  "Whether standard input is given."
              stdout     bool  "Whether standard output is wanted."
              tty        bool  "Whether it is a terminal."

            type PodLogOptions  "Which part of a log is meant."
              apiVersion                   string  "Group and version of the object."
              container                    string  "Name of the container."
              follow                       bool  "Goes on as the log grows."
              insecureSkipTLSVerifyBackend bool  "Trusts any certificate of the node."
              kind                         string  "Kind of the object."
              limitBytes                   int64?  "Most bytes of the answer."
              previous                     bool  "The container before the last restart."
              sinceSeconds                 int64?  "Only lines of so many last seconds."
              sinceTime                    time?  "Only lines after this time."
              stream                       string?  "All, Stdout or Stderr."
              tailLines                    int64?  "Only so many last lines."
              timestamps                   bool  "Whether lines begin with their time."

            type PodPortForwardOptions  "Which ports of a pod are meant."
              apiVersion string  "Group and version of the object."
              kind       string  "Kind of the object."
              ports      [int32] atomic  "Numbers of the ports."

            type PodStatusResult object  "A pod's state alone."
              status core/v1:PodStatus  "What is there."

            type RangeAllocation object  "Which numbers of a range are taken."
              data  bytes required  "A bit a number."
              range string required  "The range."

            type SerializedReference  "A reference to an object, for annotations."
              apiVersion string  "Group and version of the object."
              kind       string  "Kind of the object."
              reference  core/v1:ObjectReference  "The object."
            """)

    /// What webhooks are asked, and what they answer.
    static let admissionV1 = GroupText(
        group: "admission.k8s.io", version: "v1", package: "io.k8s.api.admission.v1", isServed: false,
        texts: """
            type AdmissionReview  "A question to a webhook, and its answer."
              apiVersion string  "Group and version of the object."
              kind       string  "Kind of the object."
              request    AdmissionRequest?  "The question."
              response   AdmissionResponse?  "The answer."

            type AdmissionRequest  "A write that waits to be admitted."
              dryRun             bool?  "Whether nothing will be stored."
              kind               GroupVersionKind required  "Kind of the object, as the webhook asked for it."
              name               string  "Name of the object."
              namespace          string  "Its namespace."
              object             raw  "The object after the write."
              oldObject          raw  "The object before it."
              operation          string required  "CREATE, UPDATE, DELETE or CONNECT."
              options            raw  "Options of the write."
              requestKind        GroupVersionKind?  "Kind of the object, as the client wrote it."
              requestResource    GroupVersionResource?  "Resource that the client wrote to."
              requestSubResource string  "Subresource that the client wrote to."
              resource           GroupVersionResource required  "Resource, as the webhook asked for it."
              subResource        string  "Subresource, as the webhook asked for it."
              uid                string required  "Identity of the question, which the answer repeats."
              userInfo           authentication.k8s.io/v1:UserInfo required  "Who writes."

            type AdmissionResponse  "A webhook's answer."
              allowed          bool required  "Whether the write may go on."
              auditAnnotations {string}  "Notes for the audit log."
              patch            bytes  "Changes to the object."
              patchType        string?  "Form of the changes: JSONPatch."
              status           Status?  "Why not."
              uid              string required  "Identity of the question."
              warnings         [string] atomic  "Texts for the client."
            """)

    static let apidiscoveryV2 = GroupText(
        group: "apidiscovery.k8s.io", version: "v2", package: "io.k8s.api.apidiscovery.v2", isServed: false,
        texts: """
            type APIGroupDiscovery object  "A group with all that it has."
              versions [APIVersionDiscovery] map(version)  "Its versions, the preferred one first."

            type APIVersionDiscovery  "A version of a group."
              freshness string  "Current or Stale."
              resources [APIResourceDiscovery] map(resource)  "Its resources."
              version   string required  "Name of the version."

            type APIResourceDiscovery  "A resource."
              categories       [string] set  "Categories that it belongs to."
              resource         string required  "Its plural name."
              responseKind     GroupVersionKind?  "Kind of its objects."
              scope            string required  "Namespaced or Cluster."
              shortNames       [string] set  "Short names."
              singularResource string required  "Its singular name."
              subresources     [APISubresourceDiscovery] map(subresource)  "Its subresources."
              verbs            [string] required set  "What can be done with it."

            type APISubresourceDiscovery  "A subresource."
              acceptedTypes [GroupVersionKind] atomic  "Kinds that it takes."
              responseKind  GroupVersionKind?  "Kind that it answers."
              subresource   string required  "Its name."
              verbs         [string] required set  "What can be done with it."
            """)
}
