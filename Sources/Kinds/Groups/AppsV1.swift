import Schema

extension GroupText {
    static let appsV1 = GroupText(
        group: "apps", version: "v1", package: "io.k8s.api.apps.v1",
        texts: """
            kind Deployment deployments deployment namespaced generation short=deploy categories=all
              /scale get,patch,update autoscaling/v1:Scale
              /status get,patch,update
              column Name string format=name ""
              column Ready string ""
              column Up-to-date string ""
              column Available string ""
              column Age string ""
              column Containers string priority=1 ""
              column Images string priority=1 ""
              column Selector string priority=1 ""

            kind ReplicaSet replicasets replicaset namespaced generation short=rs categories=all
              /scale get,patch,update autoscaling/v1:Scale
              /status get,patch,update
              column Name string format=name ""
              column Desired integer ""
              column Current integer ""
              column Ready integer ""
              column Age string ""
              column Containers string priority=1 ""
              column Images string priority=1 ""
              column Selector string priority=1 ""

            type Deployment object
              spec   DeploymentSpec
              status DeploymentStatus

            type DeploymentCondition
              lastTransitionTime time
              lastUpdateTime     time
              message            string
              reason             string
              status             string required
              type               string required

            type DeploymentSpec
              minReadySeconds         int32 min=0
              paused                  bool
              progressDeadlineSeconds int32? = 600 min=0
              replicas                int32? = 1 min=0
              revisionHistoryLimit    int32? = 10 min=0
              selector                LabelSelector? required nonempty immutable
              strategy                DeploymentStrategy retainKeys
              template                core/v1:PodTemplateSpec required

            type DeploymentStatus
              availableReplicas   int32 min=0
              collisionCount      int32?
              conditions          [DeploymentCondition] map(type) merge(type)
              observedGeneration  int64
              readyReplicas       int32 min=0
              replicas            int32 min=0
              terminatingReplicas int32?
              unavailableReplicas int32 min=0
              updatedReplicas     int32 min=0

            type DeploymentStrategy
              rollingUpdate RollingUpdateDeployment?
              type          string = RollingUpdate

            type ReplicaSet object
              spec   ReplicaSetSpec
              status ReplicaSetStatus

            type ReplicaSetCondition
              lastTransitionTime time
              message            string
              reason             string
              status             string required
              type               string required

            type ReplicaSetSpec
              minReadySeconds int32 min=0
              replicas        int32? = 1 min=0
              selector        LabelSelector? required nonempty immutable
              template        core/v1:PodTemplateSpec

            type ReplicaSetStatus
              availableReplicas    int32 min=0
              conditions           [ReplicaSetCondition] map(type) merge(type)
              fullyLabeledReplicas int32 min=0
              observedGeneration   int64
              readyReplicas        int32 min=0
              replicas             int32 required min=0
              terminatingReplicas  int32?

            type RollingUpdateDeployment
              maxSurge       intOrString?
              maxUnavailable intOrString?
            """)
}
