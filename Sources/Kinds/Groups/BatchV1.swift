import Schema

extension GroupText {
    static let batchV1 = GroupText(
        group: "batch", version: "v1", package: "io.k8s.api.batch.v1",
        texts: """
            kind CronJob cronjobs cronjob namespaced generation short=cj categories=all
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Schedule string "When jobs are started."
              column Timezone string "Time zone of the schedule."
              column Suspend boolean "Whether no jobs are started."
              column Active integer "Jobs that run now."
              column "Last Schedule" string "Time since a job was last started."
              column Age string "Time since it was made."
              column Containers string priority=1 "Names of the containers."
              column Images string priority=1 "Images of the containers."
              column Selector string priority=1 "Labels of the pods it is about."

            kind Job jobs job namespaced generation categories=all
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Status string "Condition in one word."
              column Completions string "Pods that succeeded, of how many wanted."
              column Duration string "Time from its start to its end."
              column Age string "Time since it was made."
              column Containers string priority=1 "Names of the containers."
              column Images string priority=1 "Images of the containers."
              column Selector string priority=1 "Labels of the pods it is about."

            type CronJob object  "Starts jobs at given times."
              spec   CronJobSpec required  "What is wanted."
              status CronJobStatus  "What is there."

            type CronJobSpec  "What a cron job wants."
              schedule                   string required  "When to start jobs, in the five fields of cron."
              timeZone                   string?  "Time zone of the schedule, by its IANA name."
              startingDeadlineSeconds    int64?  "Seconds by which a start may be late."
              concurrencyPolicy          string = Allow values(Allow,Forbid,Replace)  "Whether jobs may run beside each other."
              suspend                    bool? = false  "Starts no jobs for now."
              jobTemplate                JobTemplateSpec required  "The job to make."
              successfulJobsHistoryLimit int32? = 3  "Number of succeeded jobs to keep."
              failedJobsHistoryLimit     int32? = 1  "Number of failed jobs to keep."

            type CronJobStatus  "State of a cron job."
              active             [core/v1:ObjectReference] atomic  "Jobs that run now."
              lastScheduleTime   time?  "When a job was last started."
              lastSuccessfulTime time?  "When a job last succeeded."

            type Job object  "Runs pods to their end."
              spec   JobSpec  "What is wanted."
              status JobStatus  "What is there."

            type JobCondition order(type,status)  "One aspect of a job's state."
              lastProbeTime      time  "When it was last checked."
              lastTransitionTime time  "When the status last changed."
              message            string  "Explanation for people."
              reason             string  "Reason in one CamelCase word."
              type               string required  "Its type."
              status             string required  "What is there."

            type JobSpec  "What a job wants."
              parallelism             int32?  "Most pods to run at once."
              completions             int32?  "Number of pods that must succeed."
              activeDeadlineSeconds   int64?  "Seconds after which the job is ended."
              podFailurePolicy        PodFailurePolicy?  "What failed pods mean for the job."
              successPolicy           SuccessPolicy?  "When the job counts as complete."
              backoffLimit            int32?  "Failures of pods after which the job fails."
              backoffLimitPerIndex    int32?  "Failures of pods after which their index fails."
              maxFailedIndexes        int32?  "Failed indexes after which the job fails."
              selector                LabelSelector?  "Selects its pods."
              manualSelector          bool?  "Whether the selector is the author's own."
              template                core/v1:PodTemplateSpec required  "The pod to make."
              ttlSecondsAfterFinished int32?  "Seconds to keep the job after its end."
              completionMode          string? values(Indexed,NonIndexed)  "Whether every completion has an index."
              suspend                 bool?  "Runs no pods for now."
              podReplacementPolicy    string? values(Failed,TerminatingOrFailed)  "When a pod is replaced: once it fails, or already while it ends."
              managedBy               string?  "Controller that runs the job, if not the built-in one."

            type JobStatus  "State of a job."
              conditions              [JobCondition] atomic merge(type)  "State of the object."
              startTime               time?  "When the controller took it up."
              completionTime          time?  "When it was complete."
              active                  int32  "Number of pods that wait or run."
              succeeded               int32  "Number of pods that succeeded."
              failed                  int32  "Number of pods that failed."
              terminating             int32?  "Number of pods being deleted."
              completedIndexes        string  "Indexes that are complete, as in 1,3-5."
              failedIndexes           string?  "Indexes that have failed, as in 1,3-5."
              uncountedTerminatedPods UncountedTerminatedPods?  "Finished pods that are not in the counts yet."
              ready                   int32?  "Number of ready pods."

            type JobTemplateSpec  "The jobs to make."
              metadata ObjectMeta  "Name, labels and bookkeeping."
              spec     JobSpec  "What is wanted."

            type PodFailurePolicy  "What failed pods mean for a job."
              rules [PodFailurePolicyRule] required atomic  "Rules; the first that fits holds."

            type PodFailurePolicyOnExitCodesRequirement  "A condition on exit codes."
              containerName string?  "Container that it is about, any when absent."
              operator      string required values(In,NotIn)  "How the exit code relates to the values."
              values        [int32] required set  "Values to compare with."

            type PodFailurePolicyOnPodConditionsPattern  "A condition of a pod."
              type   string required  "Its type."
              status string  "Its status."

            type PodFailurePolicyRule  "What failed pods of some kind mean."
              action          string required values(Count,FailIndex,FailJob,Ignore)  "What to do."
              onExitCodes     PodFailurePolicyOnExitCodesRequirement?  "Exit codes that it is about."
              onPodConditions [PodFailurePolicyOnPodConditionsPattern] atomic  "Conditions that it is about, any of them."

            type SuccessPolicy  "When a job counts as complete."
              rules [SuccessPolicyRule] required atomic  "Rules, any of them."

            type SuccessPolicyRule  "What must have succeeded."
              succeededIndexes string?  "Indexes that count, as in 1,3-5."
              succeededCount   int32?  "How many of them must have succeeded."

            type UncountedTerminatedPods  "Finished pods that are not in the counts yet."
              succeeded [string] set  "Unique identities of pods that succeeded."
              failed    [string] set  "Unique identities of pods that failed."
            """)
}
