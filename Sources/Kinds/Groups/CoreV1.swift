import Schema

extension GroupText {
    static let coreV1 = GroupText(
        group: "", version: "v1", package: "io.k8s.api.core.v1",
        texts: """
            kind Binding bindings binding namespaced verbs=create

            kind ComponentStatus componentstatuses componentstatus cluster short=cs verbs=get,list
              column Name string format=name "Name of the object."
              column Status string "Condition in one word."
              column Message string "What the component answered."
              column Error string "What went wrong when it was asked."

            kind ConfigMap configmaps configmap namespaced short=cm
              column Name string format=name "Name of the object."
              column Data string "Number of entries."
              column Age string "Time since it was made."

            kind Endpoints endpoints endpoints namespaced short=ep
              column Name string format=name "Name of the object."
              column Endpoints string "Addresses behind it."
              column Age string "Time since it was made."

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

            kind LimitRange limitranges limitrange namespaced short=limits
              column Name string format=name "Name of the object."
              column "Created At" date "When it was made."

            kind Namespace namespaces namespace cluster short=ns verbs=create,delete,get,list,patch,update,watch
              /finalize update
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Status string "Condition in one word."
              column Age string "Time since it was made."

            kind Node nodes node cluster short=no
              /proxy create,delete,get,patch,update NodeProxyOptions
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Status string "Condition in one word."
              column Roles string "Roles from the labels."
              column Age string "Time since it was made."
              column Version string "Version of the node agent."
              column Internal-IP string priority=1 "Address inside the cluster."
              column External-IP string priority=1 "Address outside the cluster."
              column OS-Image string priority=1 "Operating system."
              column Kernel-Version string priority=1 "Kernel."
              column Container-Runtime string priority=1 "Container runtime and its version."

            kind PersistentVolumeClaim persistentvolumeclaims persistentvolumeclaim namespaced short=pvc
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Status string "Condition in one word."
              column Volume string "Volume bound to it."
              column Capacity string "Size."
              column "Access Modes" string "How it may be mounted."
              column StorageClass string "Storage class."
              column VolumeAttributesClass string "Class of changeable attributes."
              column Age string "Time since it was made."
              column VolumeMode string priority=1 "File system or block device."

            kind PersistentVolume persistentvolumes persistentvolume cluster short=pv
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Capacity string "Size."
              column "Access Modes" string "How it may be mounted."
              column "Reclaim Policy" string "What becomes of it after its claim."
              column Status string "Condition in one word."
              column Claim string "Claim bound to it."
              column StorageClass string "Storage class."
              column VolumeAttributesClass string "Class of changeable attributes."
              column Reason string "Short reason."
              column Age string "Time since it was made."
              column VolumeMode string priority=1 "File system or block device."

            kind Pod pods pod namespaced generation short=po categories=all
              /attach create,get PodAttachOptions
              /binding create Binding
              /ephemeralcontainers get,patch,update
              /eviction create policy/v1:Eviction
              /exec create,get PodExecOptions
              /log get
              /portforward create,get PodPortForwardOptions
              /proxy create,delete,get,patch,update PodProxyOptions
              /resize get,patch,update
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Ready string "How many are ready, of how many wanted."
              column Status string "Condition in one word."
              column Restarts string "Restarts of all containers, and when the last was."
              column Age string "Time since it was made."
              column IP string priority=1 "First address of the pod."
              column Node string priority=1 "Node it runs on."
              column "Nominated Node" string priority=1 "Node it was promised after preemption."
              column "Readiness Gates" string priority=1 "Extra conditions met, of those demanded."

            kind PodTemplate podtemplates podtemplate namespaced generation
              column Name string format=name "Name of the object."
              column Containers string "Names of the containers."
              column Images string "Images of the containers."
              column "Pod Labels" string "Labels of the pods made from it."

            kind ReplicationController replicationcontrollers replicationcontroller namespaced generation short=rc categories=all
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

            kind ResourceQuota resourcequotas resourcequota namespaced short=quota
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Request string "Used and most of what is requested."
              column Limit string "Used and most of what is limited."
              column Age string "Time since it was made."

            kind Secret secrets secret namespaced
              column Name string format=name "Name of the object."
              column Type string "Its type."
              column Data string "Number of entries."
              column Age string "Time since it was made."

            kind ServiceAccount serviceaccounts serviceaccount namespaced short=sa
              /token create authentication.k8s.io/v1:TokenRequest
              column Name string format=name "Name of the object."
              column Age string "Time since it was made."

            kind Service services service namespaced short=svc categories=all
              /proxy create,delete,get,patch,update ServiceProxyOptions
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Type string "Its type."
              column Cluster-IP string "Address inside the cluster."
              column External-IP string "Address outside the cluster."
              column Port(s) string "Ports, with node ports after a colon."
              column Age string "Time since it was made."
              column Selector string priority=1 "Labels of the pods it is about."
            """,
        .coreV1Pods, .coreV1Containers, .coreV1Volumes, .coreV1Scheduling, .coreV1Nodes, .coreV1Services,
        .coreV1Objects,
        .coreV1Policies
    )
}
