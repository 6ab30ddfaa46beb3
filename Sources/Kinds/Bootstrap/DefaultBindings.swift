extension StaticString {
    static let defaultBindings: StaticString = """
        clusterrolebinding cluster-admin ClusterRole=cluster-admin
          Group system:masters
        clusterrolebinding system:basic-user ClusterRole=system:basic-user
          Group system:authenticated
        clusterrolebinding system:controller:attachdetach-controller ClusterRole=system:controller:attachdetach-controller
          ServiceAccount kube-system/attachdetach-controller
        clusterrolebinding system:controller:certificate-controller ClusterRole=system:controller:certificate-controller
          ServiceAccount kube-system/certificate-controller
        clusterrolebinding system:controller:clusterrole-aggregation-controller ClusterRole=system:controller:clusterrole-aggregation-controller
          ServiceAccount kube-system/clusterrole-aggregation-controller
        clusterrolebinding system:controller:cronjob-controller ClusterRole=system:controller:cronjob-controller
          ServiceAccount kube-system/cronjob-controller
        clusterrolebinding system:controller:daemon-set-controller ClusterRole=system:controller:daemon-set-controller
          ServiceAccount kube-system/daemon-set-controller
        clusterrolebinding system:controller:deployment-controller ClusterRole=system:controller:deployment-controller
          ServiceAccount kube-system/deployment-controller
        clusterrolebinding system:controller:device-taint-eviction-controller ClusterRole=system:controller:device-taint-eviction-controller
          ServiceAccount kube-system/device-taint-eviction-controller
        clusterrolebinding system:controller:disruption-controller ClusterRole=system:controller:disruption-controller
          ServiceAccount kube-system/disruption-controller
        clusterrolebinding system:controller:endpoint-controller ClusterRole=system:controller:endpoint-controller
          ServiceAccount kube-system/endpoint-controller
        clusterrolebinding system:controller:endpointslice-controller ClusterRole=system:controller:endpointslice-controller
          ServiceAccount kube-system/endpointslice-controller
        clusterrolebinding system:controller:endpointslicemirroring-controller ClusterRole=system:controller:endpointslicemirroring-controller
          ServiceAccount kube-system/endpointslicemirroring-controller
        clusterrolebinding system:controller:ephemeral-volume-controller ClusterRole=system:controller:ephemeral-volume-controller
          ServiceAccount kube-system/ephemeral-volume-controller
        clusterrolebinding system:controller:expand-controller ClusterRole=system:controller:expand-controller
          ServiceAccount kube-system/expand-controller
        clusterrolebinding system:controller:generic-garbage-collector ClusterRole=system:controller:generic-garbage-collector
          ServiceAccount kube-system/generic-garbage-collector
        clusterrolebinding system:controller:horizontal-pod-autoscaler ClusterRole=system:controller:horizontal-pod-autoscaler
          ServiceAccount kube-system/horizontal-pod-autoscaler
        clusterrolebinding system:controller:job-controller ClusterRole=system:controller:job-controller
          ServiceAccount kube-system/job-controller
        clusterrolebinding system:controller:legacy-service-account-token-cleaner ClusterRole=system:controller:legacy-service-account-token-cleaner
          ServiceAccount kube-system/legacy-service-account-token-cleaner
        clusterrolebinding system:controller:namespace-controller ClusterRole=system:controller:namespace-controller
          ServiceAccount kube-system/namespace-controller
        clusterrolebinding system:controller:node-controller ClusterRole=system:controller:node-controller
          ServiceAccount kube-system/node-controller
        clusterrolebinding system:controller:persistent-volume-binder ClusterRole=system:controller:persistent-volume-binder
          ServiceAccount kube-system/persistent-volume-binder
        clusterrolebinding system:controller:pod-garbage-collector ClusterRole=system:controller:pod-garbage-collector
          ServiceAccount kube-system/pod-garbage-collector
        clusterrolebinding system:controller:pv-protection-controller ClusterRole=system:controller:pv-protection-controller
          ServiceAccount kube-system/pv-protection-controller
        clusterrolebinding system:controller:pvc-protection-controller ClusterRole=system:controller:pvc-protection-controller
          ServiceAccount kube-system/pvc-protection-controller
        clusterrolebinding system:controller:replicaset-controller ClusterRole=system:controller:replicaset-controller
          ServiceAccount kube-system/replicaset-controller
        clusterrolebinding system:controller:replication-controller ClusterRole=system:controller:replication-controller
          ServiceAccount kube-system/replication-controller
        clusterrolebinding system:controller:resource-claim-controller ClusterRole=system:controller:resource-claim-controller
          ServiceAccount kube-system/resource-claim-controller
        clusterrolebinding system:controller:resourcequota-controller ClusterRole=system:controller:resourcequota-controller
          ServiceAccount kube-system/resourcequota-controller
        clusterrolebinding system:controller:root-ca-cert-publisher ClusterRole=system:controller:root-ca-cert-publisher
          ServiceAccount kube-system/root-ca-cert-publisher
        clusterrolebinding system:controller:route-controller ClusterRole=system:controller:route-controller
          ServiceAccount kube-system/route-controller
        clusterrolebinding system:controller:selinux-warning-controller ClusterRole=system:controller:selinux-warning-controller
          ServiceAccount kube-system/selinux-warning-controller
        clusterrolebinding system:controller:service-account-controller ClusterRole=system:controller:service-account-controller
          ServiceAccount kube-system/service-account-controller
        clusterrolebinding system:controller:service-ca-cert-publisher ClusterRole=system:controller:service-ca-cert-publisher
          ServiceAccount kube-system/service-ca-cert-publisher
        clusterrolebinding system:controller:service-cidrs-controller ClusterRole=system:controller:service-cidrs-controller
          ServiceAccount kube-system/service-cidrs-controller
        clusterrolebinding system:controller:service-controller ClusterRole=system:controller:service-controller
          ServiceAccount kube-system/service-controller
        clusterrolebinding system:controller:statefulset-controller ClusterRole=system:controller:statefulset-controller
          ServiceAccount kube-system/statefulset-controller
        clusterrolebinding system:controller:ttl-after-finished-controller ClusterRole=system:controller:ttl-after-finished-controller
          ServiceAccount kube-system/ttl-after-finished-controller
        clusterrolebinding system:controller:ttl-controller ClusterRole=system:controller:ttl-controller
          ServiceAccount kube-system/ttl-controller
        clusterrolebinding system:controller:validatingadmissionpolicy-status-controller ClusterRole=system:controller:validatingadmissionpolicy-status-controller
          ServiceAccount kube-system/validatingadmissionpolicy-status-controller
        clusterrolebinding system:controller:volumeattributesclass-protection-controller ClusterRole=system:controller:volumeattributesclass-protection-controller
          ServiceAccount kube-system/volumeattributesclass-protection-controller
        clusterrolebinding system:discovery ClusterRole=system:discovery
          Group system:authenticated
        clusterrolebinding system:kube-controller-manager ClusterRole=system:kube-controller-manager
          User system:kube-controller-manager
        clusterrolebinding system:kube-dns ClusterRole=system:kube-dns
          ServiceAccount kube-system/kube-dns
        clusterrolebinding system:kube-scheduler ClusterRole=system:kube-scheduler
          User system:kube-scheduler
        clusterrolebinding system:monitoring ClusterRole=system:monitoring
          Group system:monitoring
        clusterrolebinding system:node ClusterRole=system:node
        clusterrolebinding system:node-proxier ClusterRole=system:node-proxier
          User system:kube-proxy
        clusterrolebinding system:public-info-viewer ClusterRole=system:public-info-viewer
          Group system:authenticated
          Group system:unauthenticated
        clusterrolebinding system:service-account-issuer-discovery ClusterRole=system:service-account-issuer-discovery
          Group system:serviceaccounts
        clusterrolebinding system:volume-scheduler ClusterRole=system:volume-scheduler
          User system:kube-scheduler
        rolebinding system:controller:bootstrap-signer namespace=kube-public Role=system:controller:bootstrap-signer
          ServiceAccount kube-system/bootstrap-signer
        rolebinding system::extension-apiserver-authentication-reader namespace=kube-system Role=extension-apiserver-authentication-reader
          User system:kube-controller-manager
          User system:kube-scheduler
        rolebinding system::leader-locking-kube-controller-manager namespace=kube-system Role=system::leader-locking-kube-controller-manager
          User system:kube-controller-manager
          ServiceAccount kube-system/kube-controller-manager
          ServiceAccount kube-system/leader-election-controller
        rolebinding system::leader-locking-kube-scheduler namespace=kube-system Role=system::leader-locking-kube-scheduler
          User system:kube-scheduler
          ServiceAccount kube-system/kube-scheduler
        rolebinding system:controller:bootstrap-signer namespace=kube-system Role=system:controller:bootstrap-signer
          ServiceAccount kube-system/bootstrap-signer
        rolebinding system:controller:cloud-provider namespace=kube-system Role=system:controller:cloud-provider
          ServiceAccount kube-system/cloud-provider
        rolebinding system:controller:token-cleaner namespace=kube-system Role=system:controller:token-cleaner
          ServiceAccount kube-system/token-cleaner
        """
}
