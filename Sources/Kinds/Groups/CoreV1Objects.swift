extension StaticString {
    static let coreV1Objects: StaticString = """
        type Binding object
          target ObjectReference required

        type ConfigMap object
          binaryData {bytes}
          data       {string}
          immutable  bool?

        type Event object
          action         string
          count          int32
          eventTime          microTime
          firstTimestamp     time
          involvedObject     ObjectReference required
          lastTimestamp      time
          message        string
          reason         string
          related        ObjectReference?
          reportingComponent string always
          reportingInstance  string always
          series         EventSeries?
          source         EventSource
          type           string

        type EventSeries
          count        int32
          lastObservedTime microTime

        type EventSource
          component string
          host      string

        type LocalObjectReference atomic
          name string default="" always

        type Namespace object
          spec   NamespaceSpec
          status NamespaceStatus

        type NamespaceCondition
          lastTransitionTime time
          message        string
          reason         string
          status         string required
          type           string required

        type NamespaceSpec
          finalizers [string] atomic

        type NamespaceStatus
          conditions [NamespaceCondition] map(type) merge(type)
          phase      string = Active

        type ObjectReference atomic
          apiVersion      string
          fieldPath       string
          kind        string
          name        string
          namespace       string
          resourceVersion string
          uid         string

        type Secret object
          data       {bytes}
          immutable  bool?
          stringData {string}
          type       string = Opaque immutable

        type SecretReference atomic
          name      string
          namespace string

        type ServiceAccount object
          automountServiceAccountToken bool?
          imagePullSecrets         [LocalObjectReference] atomic
          secrets                  [ObjectReference] map(name) merge(name)

        type TypedLocalObjectReference atomic
          apiGroup string?
          kind     string required
          name     string required

        type TypedObjectReference
          apiGroup  string?
          kind      string required
          name      string required
          namespace string?
        """
}
