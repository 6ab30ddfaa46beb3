import Schema

extension GroupText {
    static let eventsV1 = GroupText(
        group: "events.k8s.io", version: "v1", package: "io.k8s.api.events.v1",
        texts: """
            kind Event events event namespaced short=ev
              column "Last Seen" string "Time since it last happened."
              column Type string "Its type."
              column Reason string "Short reason."
              column Object string "Object concerned."
              column Subobject string priority=1 "Part of the object concerned."
              column Source string priority=1 "Who reported it."
              column Message string "What happened."
              column "First Seen" string priority=1 "Time since it first happened."
              column Count string priority=1 "How often it happened."
              column Name string format=name priority=1 "Name of the object."

            type Event object  "Something that happened to an object."
              action                   string  "What was done."
              deprecatedCount          int32  "Count of the old form."
              deprecatedFirstTimestamp time  "First time of the old form."
              deprecatedLastTimestamp  time  "Last time of the old form."
              deprecatedSource         core/v1:EventSource  "Source of the old form."
              eventTime                microTime required  "When it first happened."
              note                     string  "Explanation for people."
              reason                   string  "Reason in one CamelCase word."
              regarding                core/v1:ObjectReference  "Object concerned."
              related                  core/v1:ObjectReference?  "Second object concerned."
              reportingController      string  "Controller that reported it."
              reportingInstance        string  "Instance that reported it."
              series                   EventSeries?  "Repetitions of the event."
              type                     string  "Normal or Warning."

            type EventSeries  "Repetitions of an event."
              count            int32 required  "How often it happened."
              lastObservedTime microTime required  "When it last happened."
            """)
}
