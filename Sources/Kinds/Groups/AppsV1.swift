import Schema

extension GroupText {
    static let appsV1 = GroupText(
        group: "apps", version: "v1", package: "io.k8s.api.apps.v1",
        texts: """
            kind Deployment deployments deployment namespaced generation short=deploy categories=all
              /scale get,patch,update autoscaling/v1:Scale
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Ready string "How many are ready, of how many wanted."
              column Up-to-date string "Pods of the latest template."
              column Available string "Pods ready for long enough."
              column Age string "Time since it was made."
              column Containers string priority=1 "Names of the containers."
              column Images string priority=1 "Images of the containers."
              column Selector string priority=1 "Labels of the pods it is about."

            kind ReplicaSet replicasets replicaset namespaced generation short=rs categories=all
              /scale get,patch,update autoscaling/v1:Scale
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Desired integer "Pods wanted."
              column Current integer "Pods there."
              column Ready integer "How many are ready, of how many wanted."
              column Age string "Time since it was made."
              column Containers string priority=1 "Names of the containers."
              column Images string priority=1 "Images of the containers."
              column Selector string priority=1 "Labels of the pods it is about."

            type Deployment object  "Keeps pods running and replaces them step by step."
              spec   DeploymentSpec  "What is wanted."
              status DeploymentStatus  "What is there."

            type DeploymentCondition  "One aspect of a deployment's state."
              lastTransitionTime time  "When the status last changed."
              lastUpdateTime     time  "When the condition was last written."
              message            string  "Explanation for people."
              reason             string  "Reason in one CamelCase word."
              status             string required  "What is there."
              type               string required  "Its type."

            type DeploymentSpec  "What a deployment wants."
              minReadySeconds         int32 min=0  "Seconds that a new pod must be ready before it counts as available."
              paused                  bool  "Stops replacing pods."
              progressDeadlineSeconds int32? = 600 min=0  "Seconds without progress that count as failure."
              replicas                int32? = 1 min=0  "Number of pods."
              revisionHistoryLimit    int32? = 10 min=0  "Number of old replica sets to keep."
              selector                LabelSelector? required nonempty immutable  "Selects its pods."
              strategy                DeploymentStrategy retainKeys  "How pods are replaced."
              template                core/v1:PodTemplateSpec required  "The pod to make."

            type DeploymentStatus  "State of a deployment."
              availableReplicas   int32 min=0  "Number of pods ready for minReadySeconds."
              collisionCount      int32?  "Hash collisions met when naming what it makes."
              conditions          [DeploymentCondition] map(type) merge(type)  "State of the object, one entry a type."
              observedGeneration  int64  "Generation of the spec that this status is about."
              readyReplicas       int32 min=0  "Number of ready pods."
              replicas            int32 min=0  "Number of pods."
              terminatingReplicas int32?  "Number of pods being deleted."
              unavailableReplicas int32 min=0  "Number of pods still missing."
              updatedReplicas     int32 min=0  "Number of pods of the latest template."

            type DeploymentStrategy  "How pods are replaced."
              rollingUpdate RollingUpdateDeployment?  "Bounds of a step."
              type          string = RollingUpdate  "Its type."

            type ReplicaSet object  "Keeps a number of equal pods."
              spec   ReplicaSetSpec  "What is wanted."
              status ReplicaSetStatus  "What is there."

            type ReplicaSetCondition  "One aspect of a replica set's state."
              lastTransitionTime time  "When the status last changed."
              message            string  "Explanation for people."
              reason             string  "Reason in one CamelCase word."
              status             string required  "What is there."
              type               string required  "Its type."

            type ReplicaSetSpec  "What a replica set wants."
              minReadySeconds int32 min=0  "Seconds that a new pod must be ready before it counts as available."
              replicas        int32? = 1 min=0  "Number of pods."
              selector        LabelSelector? required nonempty immutable  "Selects pods by their labels."
              template        core/v1:PodTemplateSpec  "The pod to make."

            type ReplicaSetStatus  "State of a replica set."
              availableReplicas    int32 min=0  "Number of pods ready for minReadySeconds."
              conditions           [ReplicaSetCondition] map(type) merge(type)  "State of the object, one entry a type."
              fullyLabeledReplicas int32 min=0  "Number of pods with all labels of the template."
              observedGeneration   int64  "Generation of the spec that this status is about."
              readyReplicas        int32 min=0  "Number of ready pods."
              replicas             int32 required min=0  "Number of pods."
              terminatingReplicas  int32?  "Number of pods being deleted."

            type RollingUpdateDeployment  "Bounds of a step of replacement."
              maxSurge       intOrString?  "Pods above the wanted number, as number or share."
              maxUnavailable intOrString?  "Pods below the wanted number, as number or share."
            """)
}
