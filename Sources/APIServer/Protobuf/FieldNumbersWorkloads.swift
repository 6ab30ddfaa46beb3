extension FieldNumbers {
    /// See `FieldNumbers` for the form.
    static let workloads: StaticString = """
        package k8s.io.api.apps.v1
          ControllerRevision metadata=1 data=2 revision=3
          ControllerRevisionList metadata=1 items=2
          DaemonSet metadata=1 spec=2 status=3
          DaemonSetCondition type=1 status=2 lastTransitionTime=3 reason=4 message=5
          DaemonSetList metadata=1 items=2
          DaemonSetSpec selector=1 template=2 updateStrategy=3 minReadySeconds=4 revisionHistoryLimit=6
          DaemonSetStatus currentNumberScheduled=1 numberMisscheduled=2 desiredNumberScheduled=3 numberReady=4
            observedGeneration=5 updatedNumberScheduled=6 numberAvailable=7 numberUnavailable=8
            collisionCount=9 conditions=10
          DaemonSetUpdateStrategy type=1 rollingUpdate=2
          Deployment metadata=1 spec=2 status=3
          DeploymentCondition type=1 status=2 reason=4 message=5 lastUpdateTime=6 lastTransitionTime=7
          DeploymentList metadata=1 items=2
          DeploymentSpec replicas=1 selector=2 template=3 strategy=4 minReadySeconds=5 revisionHistoryLimit=6
            paused=7 progressDeadlineSeconds=9
          DeploymentStatus observedGeneration=1 replicas=2 updatedReplicas=3 availableReplicas=4
            unavailableReplicas=5 conditions=6 readyReplicas=7 collisionCount=8 terminatingReplicas=9
          DeploymentStrategy type=1 rollingUpdate=2
          ReplicaSet metadata=1 spec=2 status=3
          ReplicaSetCondition type=1 status=2 lastTransitionTime=3 reason=4 message=5
          ReplicaSetList metadata=1 items=2
          ReplicaSetSpec replicas=1 selector=2 template=3 minReadySeconds=4
          ReplicaSetStatus replicas=1 fullyLabeledReplicas=2 observedGeneration=3 readyReplicas=4
            availableReplicas=5 conditions=6 terminatingReplicas=7
          RollingUpdateDaemonSet maxUnavailable=1 maxSurge=2
          RollingUpdateDeployment maxUnavailable=1 maxSurge=2
          RollingUpdateStatefulSetStrategy partition=1 maxUnavailable=2
          StatefulSet metadata=1 spec=2 status=3
          StatefulSetCondition type=1 status=2 lastTransitionTime=3 reason=4 message=5
          StatefulSetList metadata=1 items=2
          StatefulSetOrdinals start=1
          StatefulSetPersistentVolumeClaimRetentionPolicy whenDeleted=1 whenScaled=2
          StatefulSetSpec replicas=1 selector=2 template=3 volumeClaimTemplates=4 serviceName=5
            podManagementPolicy=6 updateStrategy=7 revisionHistoryLimit=8 minReadySeconds=9
            persistentVolumeClaimRetentionPolicy=10 ordinals=11
          StatefulSetStatus observedGeneration=1 replicas=2 readyReplicas=3 currentReplicas=4
            updatedReplicas=5 currentRevision=6 updateRevision=7 collisionCount=9 conditions=10
            availableReplicas=11
          StatefulSetUpdateStrategy type=1 rollingUpdate=2
        package k8s.io.api.batch.v1
          CronJob metadata=1 spec=2 status=3
          CronJobList metadata=1 items=2
          CronJobSpec schedule=1 startingDeadlineSeconds=2 concurrencyPolicy=3 suspend=4 jobTemplate=5
            successfulJobsHistoryLimit=6 failedJobsHistoryLimit=7 timeZone=8
          CronJobStatus active=1 lastScheduleTime=4 lastSuccessfulTime=5
          Job metadata=1 spec=2 status=3
          JobCondition type=1 status=2 lastProbeTime=3 lastTransitionTime=4 reason=5 message=6
          JobList metadata=1 items=2
          JobSpec parallelism=1 completions=2 activeDeadlineSeconds=3 selector=4 manualSelector=5 template=6
            backoffLimit=7 ttlSecondsAfterFinished=8 completionMode=9 suspend=10 podFailurePolicy=11
            backoffLimitPerIndex=12 maxFailedIndexes=13 podReplacementPolicy=14 managedBy=15 successPolicy=16
          JobStatus conditions=1 startTime=2 completionTime=3 active=4 succeeded=5 failed=6 completedIndexes=7
            uncountedTerminatedPods=8 ready=9 failedIndexes=10 terminating=11
          JobTemplateSpec metadata=1 spec=2
          PodFailurePolicy rules=1
          PodFailurePolicyOnExitCodesRequirement containerName=1 operator=2 values=3
          PodFailurePolicyOnPodConditionsPattern type=1 status=2
          PodFailurePolicyRule action=1 onExitCodes=2 onPodConditions=3
          SuccessPolicy rules=1
          SuccessPolicyRule succeededIndexes=1 succeededCount=2
          UncountedTerminatedPods succeeded=1 failed=2
        package k8s.io.api.autoscaling.v1
          ContainerResourceMetricSource name=1 targetAverageUtilization=2 targetAverageValue=3 container=5
          ContainerResourceMetricStatus name=1 currentAverageUtilization=2 currentAverageValue=3 container=4
          CrossVersionObjectReference kind=1 name=2 apiVersion=3
          ExternalMetricSource metricName=1 metricSelector=2 targetValue=3 targetAverageValue=4
          ExternalMetricStatus metricName=1 metricSelector=2 currentValue=3 currentAverageValue=4
          HorizontalPodAutoscaler metadata=1 spec=2 status=3
          HorizontalPodAutoscalerCondition type=1 status=2 lastTransitionTime=3 reason=4 message=5
          HorizontalPodAutoscalerList metadata=1 items=2
          HorizontalPodAutoscalerSpec scaleTargetRef=1 minReplicas=2 maxReplicas=3
            targetCPUUtilizationPercentage=4
          HorizontalPodAutoscalerStatus observedGeneration=1 lastScaleTime=2 currentReplicas=3
            desiredReplicas=4 currentCPUUtilizationPercentage=5
          MetricSpec type=1 object=2 pods=3 resource=4 external=5 containerResource=7
          MetricStatus type=1 object=2 pods=3 resource=4 external=5 containerResource=7
          ObjectMetricSource target=1 metricName=2 targetValue=3 selector=4 averageValue=5
          ObjectMetricStatus target=1 metricName=2 currentValue=3 selector=4 averageValue=5
          PodsMetricSource metricName=1 targetAverageValue=2 selector=3
          PodsMetricStatus metricName=1 currentAverageValue=2 selector=3
          ResourceMetricSource name=1 targetAverageUtilization=2 targetAverageValue=3
          ResourceMetricStatus name=1 currentAverageUtilization=2 currentAverageValue=3
          Scale metadata=1 spec=2 status=3
          ScaleSpec replicas=1
          ScaleStatus replicas=1 selector=2
        package k8s.io.api.autoscaling.v2
          ContainerResourceMetricSource name=1 target=2 container=3
          ContainerResourceMetricStatus name=1 current=2 container=3
          CrossVersionObjectReference kind=1 name=2 apiVersion=3
          ExternalMetricSource metric=1 target=2
          ExternalMetricStatus metric=1 current=2
          HPAScalingPolicy type=1 value=2 periodSeconds=3
          HPAScalingRules selectPolicy=1 policies=2 stabilizationWindowSeconds=3 tolerance=4
          HorizontalPodAutoscaler metadata=1 spec=2 status=3
          HorizontalPodAutoscalerBehavior scaleUp=1 scaleDown=2
          HorizontalPodAutoscalerCondition type=1 status=2 lastTransitionTime=3 reason=4 message=5
          HorizontalPodAutoscalerList metadata=1 items=2
          HorizontalPodAutoscalerSpec scaleTargetRef=1 minReplicas=2 maxReplicas=3 metrics=4 behavior=5
          HorizontalPodAutoscalerStatus observedGeneration=1 lastScaleTime=2 currentReplicas=3
            desiredReplicas=4 currentMetrics=5 conditions=6
          MetricIdentifier name=1 selector=2
          MetricSpec type=1 object=2 pods=3 resource=4 external=5 containerResource=7
          MetricStatus type=1 object=2 pods=3 resource=4 external=5 containerResource=7
          MetricTarget type=1 value=2 averageValue=3 averageUtilization=4
          MetricValueStatus value=1 averageValue=2 averageUtilization=3
          ObjectMetricSource describedObject=1 target=2 metric=3
          ObjectMetricStatus metric=1 current=2 describedObject=3
          PodsMetricSource metric=1 target=2
          PodsMetricStatus metric=1 current=2
          ResourceMetricSource name=1 target=2
          ResourceMetricStatus name=1 current=2
        package k8s.io.api.policy.v1
          Eviction metadata=1 deleteOptions=2
          PodDisruptionBudget metadata=1 spec=2 status=3
          PodDisruptionBudgetList metadata=1 items=2
          PodDisruptionBudgetSpec minAvailable=1 selector=2 maxUnavailable=3 unhealthyPodEvictionPolicy=4
          PodDisruptionBudgetStatus observedGeneration=1 disruptedPods=2 disruptionsAllowed=3 currentHealthy=4
            desiredHealthy=5 expectedPods=6 conditions=7
        """
}
