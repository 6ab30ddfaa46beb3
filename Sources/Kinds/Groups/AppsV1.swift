import Schema

extension GroupText {
    static let appsV1 = GroupText(
        group: "apps", version: "v1", package: "io.k8s.api.apps.v1",
        texts: """
            kind ControllerRevision controllerrevisions controllerrevision namespaced
              column Name string format=name "Name of the object."
              column Controller string "Object that it belongs to."
              column Revision string "Number of the revision."
              column Age string "Time since it was made."

            kind DaemonSet daemonsets daemonset namespaced generation short=ds categories=all
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Desired integer "Nodes that should run it."
              column Current integer "Nodes that should and do run it."
              column Ready integer "Nodes where it is ready."
              column Up-to-date integer "Nodes with a pod of the latest template."
              column Available integer "Nodes where it has been ready for long enough."
              column "Node Selector" string "Labels of the nodes that run it."
              column Age string "Time since it was made."
              column Containers string priority=1 "Names of the containers."
              column Images string priority=1 "Images of the containers."
              column Selector string priority=1 "Labels of the pods it is about."

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

            kind StatefulSet statefulsets statefulset namespaced generation short=sts categories=all
              /scale get,patch,update autoscaling/v1:Scale
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Ready string "How many are ready, of how many wanted."
              column Age string "Time since it was made."
              column Containers string priority=1 "Names of the containers."
              column Images string priority=1 "Images of the containers."

            type ControllerRevision object  "A state that a controller can go back to."
              data     raw? immutable  "The state."
              revision int64 required min=0  "Number of the revision."

            type DaemonSet object  "Keeps a pod on every chosen node."
              spec   DaemonSetSpec  "What is wanted."
              status DaemonSetStatus  "What is there."

            type DaemonSetCondition order(type,status)  "One aspect of a daemon set's state."
              lastTransitionTime time  "When the status last changed."
              message            string  "Explanation for people."
              reason             string  "Reason in one CamelCase word."
              status             string required  "What is there."
              type               string required  "Its type."

            type DaemonSetSpec  "What a daemon set wants."
              selector             LabelSelector? required immutable  "Selects its pods."
              template             core/v1:PodTemplateSpec required  "The pod to make."
              minReadySeconds      int32 min=0  "Seconds that a new pod must be ready before it counts as available."
              updateStrategy       DaemonSetUpdateStrategy  "How pods are replaced."
              revisionHistoryLimit int32? = 10 min=0  "Number of old revisions to keep."

            type DaemonSetStatus  "State of a daemon set."
              currentNumberScheduled int32 required min=0  "Nodes that should and do run it."
              numberMisscheduled     int32 required min=0  "Nodes that run it and should not."
              desiredNumberScheduled int32 required min=0  "Nodes that should run it."
              numberReady            int32 required min=0  "Nodes where it is ready."
              observedGeneration     int64 min=0  "Generation of the spec that this status is about."
              updatedNumberScheduled int32 min=0  "Nodes with a pod of the latest template."
              numberAvailable        int32 min=0  "Nodes where it has been ready for minReadySeconds."
              numberUnavailable      int32 min=0  "Nodes where it is missing or not yet available."
              collisionCount         int32? min=0  "Hash collisions met when naming what it makes."
              conditions             [DaemonSetCondition] map(type) merge(type)  "State of the object, one entry a type."

            type DaemonSetUpdateStrategy  "How a daemon set's pods are replaced."
              rollingUpdate RollingUpdateDaemonSet?  "Bounds of a step."
              type          string = RollingUpdate values(OnDelete,RollingUpdate)  "Its type."

            type Deployment object  "Keeps pods running and replaces them step by step."
              spec   DeploymentSpec  "What is wanted."
              status DeploymentStatus  "What is there."

            type DeploymentCondition order(type,status)  "One aspect of a deployment's state."
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
              type          string = RollingUpdate values(Recreate,RollingUpdate)  "Its type."

            type ReplicaSet object  "Keeps a number of equal pods."
              spec   ReplicaSetSpec  "What is wanted."
              status ReplicaSetStatus  "What is there."

            type ReplicaSetCondition order(type,status)  "One aspect of a replica set's state."
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

            type RollingUpdateDaemonSet  "Bounds of a step of replacement."
              maxSurge       intOrString?  "Nodes that may run the old and the new pod, as number or share."
              maxUnavailable intOrString?  "Nodes that may be without a ready pod, as number or share."

            type RollingUpdateDeployment  "Bounds of a step of replacement."
              maxSurge       intOrString?  "Pods above the wanted number, as number or share."
              maxUnavailable intOrString?  "Pods below the wanted number, as number or share."

            type RollingUpdateStatefulSetStrategy  "Bounds of a step of replacement."
              maxUnavailable intOrString?  "Pods that may be missing, as number or share."
              partition      int32?  "Pods from this number on are replaced, the others kept."

            type StatefulSet object  "Keeps pods with names and storage of their own."
              spec   StatefulSetSpec  "What is wanted."
              status StatefulSetStatus  "What is there."

            type StatefulSetCondition order(type,status)  "One aspect of a stateful set's state."
              lastTransitionTime time  "When the status last changed."
              message            string  "Explanation for people."
              reason             string  "Reason in one CamelCase word."
              status             string required  "What is there."
              type               string required  "Its type."

            type StatefulSetOrdinals  "Numbers of the pods."
              start int32 always  "Number of the first pod."

            type StatefulSetPersistentVolumeClaimRetentionPolicy  "What becomes of claims made from the templates."
              whenDeleted string? = Retain  "When the stateful set is deleted."
              whenScaled  string? = Retain  "When the pod is scaled away."

            type StatefulSetSpec  "What a stateful set wants."
              podManagementPolicy  string = OrderedReady values(OrderedReady,Parallel)  "Whether pods come and go one by one."
              updateStrategy       StatefulSetUpdateStrategy  "How pods are replaced."
              persistentVolumeClaimRetentionPolicy StatefulSetPersistentVolumeClaimRetentionPolicy? = {}  "What becomes of claims made from the templates."
              replicas             int32? = 1  "Number of pods."
              minReadySeconds      int32  "Seconds that a new pod must be ready before it counts as available."
              ordinals             StatefulSetOrdinals?  "Numbers of the pods."
              selector             LabelSelector? required  "Selects its pods."
              template             core/v1:PodTemplateSpec required  "The pod to make."
              serviceName          string always  "Service that gives the pods their names in DNS."
              revisionHistoryLimit int32? = 10  "Number of old revisions to keep."
              volumeClaimTemplates [core/v1:PersistentVolumeClaim] atomic  "Claims to make for every pod."

            type StatefulSetStatus  "State of a stateful set."
              replicas           int32 required min=0  "Number of pods."
              readyReplicas      int32 min=0  "Number of ready pods."
              currentReplicas    int32 min=0  "Number of pods of the current revision."
              updatedReplicas    int32 min=0  "Number of pods of the updated revision."
              availableReplicas  int32 always min=0  "Number of pods ready for minReadySeconds."
              observedGeneration int64 min=0  "Generation of the spec that this status is about."
              collisionCount     int32? min=0  "Hash collisions met when naming what it makes."
              currentRevision    string  "Revision of the pods not yet replaced."
              updateRevision     string  "Revision of the pods already replaced."
              conditions         [StatefulSetCondition] map(type) merge(type)  "State of the object, one entry a type."

            type StatefulSetUpdateStrategy  "How a stateful set's pods are replaced."
              rollingUpdate RollingUpdateStatefulSetStrategy?  "Bounds of a step."
              type          string values(OnDelete,RollingUpdate)  "Its type."
            """)
}
