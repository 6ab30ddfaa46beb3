import Schema

extension GroupText {
    static let eventsV1 = GroupText(
        group: "events.k8s.io", version: "v1", package: "io.k8s.api.events.v1",
        texts: """
            kind Event events event namespaced short=ev
              column "Last Seen" string ""
              column Type string ""
              column Reason string ""
              column Object string ""
              column Subobject string priority=1 ""
              column Source string priority=1 ""
              column Message string ""
              column "First Seen" string priority=1 ""
              column Count string priority=1 ""
              column Name string format=name priority=1 ""

            type Event object
              action                   string
              deprecatedCount          int32
              deprecatedFirstTimestamp time
              deprecatedLastTimestamp  time
              deprecatedSource         core/v1:EventSource
              eventTime                microTime required
              note                     string
              reason                   string
              regarding                core/v1:ObjectReference
              related                  core/v1:ObjectReference?
              reportingController      string
              reportingInstance        string
              series                   EventSeries?
              type                     string

            type EventSeries
              count            int32 required
              lastObservedTime microTime required
            """)
}
