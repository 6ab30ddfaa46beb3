import Schema

extension GroupText {
    static let coreV1 = GroupText(
        group: "", version: "v1", package: "io.k8s.api.core.v1",
        texts: """
            kind Binding bindings binding namespaced verbs=create

            kind ConfigMap configmaps configmap namespaced short=cm
              column Name string format=name ""
              column Data string ""
              column Age string ""

            kind Endpoints endpoints endpoints namespaced short=ep
              column Name string format=name ""
              column Endpoints string ""
              column Age string ""

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

            kind Namespace namespaces namespace cluster short=ns verbs=create,delete,get,list,patch,update,watch
              /finalize update
              /status get,patch,update
              column Name string format=name ""
              column Status string ""
              column Age string ""

            kind Node nodes node cluster short=no
              /proxy create,delete,get,patch,update NodeProxyOptions
              /status get,patch,update
              column Name string format=name ""
              column Status string ""
              column Roles string ""
              column Age string ""
              column Version string ""
              column Internal-IP string priority=1 ""
              column External-IP string priority=1 ""
              column OS-Image string priority=1 ""
              column Kernel-Version string priority=1 ""
              column Container-Runtime string priority=1 ""

            kind PersistentVolumeClaim persistentvolumeclaims persistentvolumeclaim namespaced short=pvc
              /status get,patch,update
              column Name string format=name ""
              column Status string ""
              column Volume string ""
              column Capacity string ""
              column "Access Modes" string ""
              column StorageClass string ""
              column VolumeAttributesClass string ""
              column Age string ""
              column VolumeMode string priority=1 ""

            kind PersistentVolume persistentvolumes persistentvolume cluster short=pv
              /status get,patch,update
              column Name string format=name ""
              column Capacity string ""
              column "Access Modes" string ""
              column "Reclaim Policy" string ""
              column Status string ""
              column Claim string ""
              column StorageClass string ""
              column VolumeAttributesClass string ""
              column Reason string ""
              column Age string ""
              column VolumeMode string priority=1 ""

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
              column Name string format=name ""
              column Ready string ""
              column Status string ""
              column Restarts string ""
              column Age string ""
              column IP string priority=1 ""
              column Node string priority=1 ""
              column "Nominated Node" string priority=1 ""
              column "Readiness Gates" string priority=1 ""

            kind PodTemplate podtemplates podtemplate namespaced generation
              column Name string format=name ""
              column Containers string ""
              column Images string ""
              column "Pod Labels" string ""

            kind Secret secrets secret namespaced
              column Name string format=name ""
              column Type string ""
              column Data string ""
              column Age string ""

            kind ServiceAccount serviceaccounts serviceaccount namespaced short=sa
              /token create authentication.k8s.io/v1:TokenRequest
              column Name string format=name ""
              column Age string ""

            kind Service services service namespaced generation short=svc categories=all
              /proxy create,delete,get,patch,update ServiceProxyOptions
              /status get,patch,update
              column Name string format=name ""
              column Type string ""
              column Cluster-IP string ""
              column External-IP string ""
              column Port(s) string ""
              column Age string ""
              column Selector string priority=1 ""
            """,
        .coreV1Pods, .coreV1Containers, .coreV1Volumes, .coreV1Scheduling, .coreV1Nodes, .coreV1Services, .coreV1Objects
    )
}
