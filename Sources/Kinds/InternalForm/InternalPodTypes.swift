import Document

// The structures of pods; see `InternalForm` for the form of the text.

extension Kinds {
    /// What differs between two forms of a container that was added to a running pod.
    public static func ephemeralContainerDifference(_ old: Document, _ new: Document) -> String {
        InternalForm.difference(old, new, as: "EphemeralContainer")
    }
}

extension InternalForm {
    /// A pod's spec. What the API says about the host's namespaces stands in the security context here.
    static func podSpec(_ spec: Document?) -> Document {
        guard var spec, spec.isObject else { return .null }
        for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"] {
            guard let value = spec[field] else { continue }
            if spec["securityContext"] == nil { spec["securityContext"] = [:] }
            spec.set(value, at: "securityContext", field)
        }
        return value(spec, as: "PodSpec")
    }

    /// What differs between two specs of pods.
    static func podDifference(_ old: Document?, _ new: Document?) -> String {
        UnifiedDiff.text(lines(podSpec(old)), lines(podSpec(new)))
    }

    static let podTypes: StaticString = """
        PodSpec Volumes=volumes*Volume InitContainers=initContainers*Container Containers=containers*Container
        PodSpec EphemeralContainers=ephemeralContainers*EphemeralContainer RestartPolicy=restartPolicy
        PodSpec TerminationGracePeriodSeconds=terminationGracePeriodSeconds?
        PodSpec ActiveDeadlineSeconds=activeDeadlineSeconds? DNSPolicy=dnsPolicy NodeSelector=nodeSelector?
        PodSpec ServiceAccountName=serviceAccountName AutomountServiceAccountToken=automountServiceAccountToken?
        PodSpec NodeName=nodeName SecurityContext=securityContext?PodSecurityContext
        PodSpec ImagePullSecrets=imagePullSecrets*LocalObjectReference Hostname=hostname Subdomain=subdomain
        PodSpec SetHostnameAsFQDN=setHostnameAsFQDN? Affinity=affinity?Affinity SchedulerName=schedulerName
        PodSpec Tolerations=tolerations*Toleration HostAliases=hostAliases*HostAlias
        PodSpec PriorityClassName=priorityClassName Priority=priority? PreemptionPolicy=preemptionPolicy?
        PodSpec DNSConfig=dnsConfig?PodDNSConfig ReadinessGates=readinessGates*PodReadinessGate
        PodSpec RuntimeClassName=runtimeClassName? Overhead=overhead? EnableServiceLinks=enableServiceLinks?
        PodSpec TopologySpreadConstraints=topologySpreadConstraints*TopologySpreadConstraint OS=os?PodOS
        PodSpec SchedulingGates=schedulingGates*PodSchedulingGate ResourceClaims=resourceClaims*PodResourceClaim
        PodSpec Resources=resources?ResourceRequirements HostnameOverride=hostnameOverride?
        PodSpec SchedulingGroup=schedulingGroup?
        PodSecurityContext HostNetwork=hostNetwork! HostPID=hostPID! HostIPC=hostIPC!
        PodSecurityContext ShareProcessNamespace=shareProcessNamespace? HostUsers=hostUsers?
        PodSecurityContext SELinuxOptions=seLinuxOptions?SELinuxOptions
        PodSecurityContext WindowsOptions=windowsOptions?WindowsSecurityContextOptions RunAsUser=runAsUser?
        PodSecurityContext RunAsGroup=runAsGroup? RunAsNonRoot=runAsNonRoot? SupplementalGroups=supplementalGroups?
        PodSecurityContext SupplementalGroupsPolicy=supplementalGroupsPolicy? FSGroup=fsGroup?
        PodSecurityContext FSGroupChangePolicy=fsGroupChangePolicy? Sysctls=sysctls*Sysctl
        PodSecurityContext SeccompProfile=seccompProfile?SeccompProfile
        PodSecurityContext AppArmorProfile=appArmorProfile?AppArmorProfile SELinuxChangePolicy=seLinuxChangePolicy?
        SELinuxOptions User=user Role=role Type=type Level=level
        WindowsSecurityContextOptions GMSACredentialSpecName=gmsaCredentialSpecName?
        WindowsSecurityContextOptions GMSACredentialSpec=gmsaCredentialSpec? RunAsUserName=runAsUserName?
        WindowsSecurityContextOptions HostProcess=hostProcess?
        SeccompProfile Type=type LocalhostProfile=localhostProfile?
        AppArmorProfile Type=type LocalhostProfile=localhostProfile?
        Sysctl Name=name Value=value
        LocalObjectReference Name=name
        Affinity NodeAffinity=nodeAffinity?NodeAffinity PodAffinity=podAffinity?PodAffinity
        Affinity PodAntiAffinity=podAntiAffinity?PodAntiAffinity
        NodeAffinity RequiredDuringSchedulingIgnoredDuringExecution=requiredDuringSchedulingIgnoredDuringExecution?NodeSelector
        NodeAffinity PreferredDuringSchedulingIgnoredDuringExecution=preferredDuringSchedulingIgnoredDuringExecution*PreferredSchedulingTerm
        PreferredSchedulingTerm Weight=weight# Preference=preference:NodeSelectorTerm
        PodAffinity RequiredDuringSchedulingIgnoredDuringExecution=requiredDuringSchedulingIgnoredDuringExecution*PodAffinityTerm
        PodAffinity PreferredDuringSchedulingIgnoredDuringExecution=preferredDuringSchedulingIgnoredDuringExecution*WeightedPodAffinityTerm
        PodAntiAffinity >PodAffinity
        WeightedPodAffinityTerm Weight=weight# PodAffinityTerm=podAffinityTerm:PodAffinityTerm
        PodAffinityTerm LabelSelector=labelSelector?LabelSelector Namespaces=namespaces? TopologyKey=topologyKey
        PodAffinityTerm NamespaceSelector=namespaceSelector?LabelSelector MatchLabelKeys=matchLabelKeys?
        PodAffinityTerm MismatchLabelKeys=mismatchLabelKeys?
        Toleration Key=key Operator=operator Value=value Effect=effect TolerationSeconds=tolerationSeconds?
        HostAlias IP=ip Hostnames=hostnames?
        PodDNSConfig Nameservers=nameservers? Searches=searches? Options=options*PodDNSConfigOption
        PodDNSConfigOption Name=name Value=value?
        PodReadinessGate ConditionType=conditionType
        TopologySpreadConstraint MaxSkew=maxSkew# TopologyKey=topologyKey WhenUnsatisfiable=whenUnsatisfiable
        TopologySpreadConstraint LabelSelector=labelSelector?LabelSelector MinDomains=minDomains?
        TopologySpreadConstraint NodeAffinityPolicy=nodeAffinityPolicy? NodeTaintsPolicy=nodeTaintsPolicy?
        TopologySpreadConstraint MatchLabelKeys=matchLabelKeys?
        PodOS Name=name
        PodSchedulingGate Name=name
        PodResourceClaim Name=name ResourceClaimName=resourceClaimName?
        PodResourceClaim ResourceClaimTemplateName=resourceClaimTemplateName?
        """

    static let containerTypes: StaticString = """
        Container Name=name Image=image Command=command? Args=args? WorkingDir=workingDir Ports=ports*ContainerPort
        Container EnvFrom=envFrom*EnvFromSource Env=env*EnvVar Resources=resources:ResourceRequirements
        Container ResizePolicy=resizePolicy*ContainerResizePolicy RestartPolicy=restartPolicy?
        Container RestartPolicyRules=restartPolicyRules*ContainerRestartRule VolumeMounts=volumeMounts*VolumeMount
        Container VolumeDevices=volumeDevices*VolumeDevice LivenessProbe=livenessProbe?Probe
        Container ReadinessProbe=readinessProbe?Probe StartupProbe=startupProbe?Probe Lifecycle=lifecycle?Lifecycle
        Container TerminationMessagePath=terminationMessagePath TerminationMessagePolicy=terminationMessagePolicy
        Container ImagePullPolicy=imagePullPolicy SecurityContext=securityContext?SecurityContext Stdin=stdin!
        Container StdinOnce=stdinOnce! TTY=tty!
        EphemeralContainer >Container TargetContainerName=targetContainerName
        ContainerPort Name=name HostPort=hostPort# ContainerPort=containerPort# Protocol=protocol HostIP=hostIP
        EnvFromSource Prefix=prefix ConfigMapRef=configMapRef?ConfigMapEnvSource SecretRef=secretRef?SecretEnvSource
        ConfigMapEnvSource Name=name Optional=optional?
        SecretEnvSource Name=name Optional=optional?
        EnvVar Name=name Value=value ValueFrom=valueFrom?EnvVarSource
        EnvVarSource FieldRef=fieldRef?ObjectFieldSelector ResourceFieldRef=resourceFieldRef?ResourceFieldSelector
        EnvVarSource ConfigMapKeyRef=configMapKeyRef?ConfigMapKeySelector SecretKeyRef=secretKeyRef?SecretKeySelector
        EnvVarSource FileKeyRef=fileKeyRef?FileKeySelector
        ObjectFieldSelector APIVersion=apiVersion FieldPath=fieldPath
        ResourceFieldSelector ContainerName=containerName Resource=resource Divisor=divisor
        ConfigMapKeySelector Name=name Key=key Optional=optional?
        SecretKeySelector Name=name Key=key Optional=optional?
        FileKeySelector VolumeName=volumeName Path=path Key=key Optional=optional?
        ResourceRequirements Limits=limits? Requests=requests? Claims=claims*ResourceClaim
        ResourceClaim Name=name Request=request
        ContainerResizePolicy ResourceName=resourceName RestartPolicy=restartPolicy
        ContainerRestartRule Action=action ExitCodes=exitCodes?ContainerRestartRuleOnExitCodes
        ContainerRestartRuleOnExitCodes Operator=operator Values=values?
        VolumeMount Name=name ReadOnly=readOnly! RecursiveReadOnly=recursiveReadOnly? MountPath=mountPath
        VolumeMount SubPath=subPath MountPropagation=mountPropagation? SubPathExpr=subPathExpr
        VolumeDevice Name=name DevicePath=devicePath
        Probe Exec=exec?ExecAction HTTPGet=httpGet?HTTPGetAction TCPSocket=tcpSocket?TCPSocketAction
        Probe GRPC=grpc?GRPCAction InitialDelaySeconds=initialDelaySeconds# TimeoutSeconds=timeoutSeconds#
        Probe PeriodSeconds=periodSeconds# SuccessThreshold=successThreshold# FailureThreshold=failureThreshold#
        Probe TerminationGracePeriodSeconds=terminationGracePeriodSeconds?
        ExecAction Command=command?
        HTTPGetAction Path=path Port=port# Host=host Scheme=scheme HTTPHeaders=httpHeaders*HTTPHeader
        HTTPHeader Name=name Value=value
        TCPSocketAction Port=port# Host=host
        GRPCAction Port=port# Service=service?
        SleepAction Seconds=seconds#
        Lifecycle PostStart=postStart?LifecycleHandler PreStop=preStop?LifecycleHandler StopSignal=stopSignal?
        LifecycleHandler Exec=exec?ExecAction HTTPGet=httpGet?HTTPGetAction TCPSocket=tcpSocket?TCPSocketAction
        LifecycleHandler Sleep=sleep?SleepAction
        SecurityContext Capabilities=capabilities?Capabilities Privileged=privileged?
        SecurityContext SELinuxOptions=seLinuxOptions?SELinuxOptions
        SecurityContext WindowsOptions=windowsOptions?WindowsSecurityContextOptions RunAsUser=runAsUser?
        SecurityContext RunAsGroup=runAsGroup? RunAsNonRoot=runAsNonRoot?
        SecurityContext ReadOnlyRootFilesystem=readOnlyRootFilesystem?
        SecurityContext AllowPrivilegeEscalation=allowPrivilegeEscalation? ProcMount=procMount?
        SecurityContext SeccompProfile=seccompProfile?SeccompProfile AppArmorProfile=appArmorProfile?AppArmorProfile
        Capabilities Add=add? Drop=drop?
        """

    static let volumeTypes: StaticString = """
        Volume Name=name HostPath=hostPath?HostPathVolumeSource EmptyDir=emptyDir?EmptyDirVolumeSource
        Volume GCEPersistentDisk=gcePersistentDisk?GCEPersistentDiskVolumeSource
        Volume AWSElasticBlockStore=awsElasticBlockStore?AWSElasticBlockStoreVolumeSource
        Volume GitRepo=gitRepo?GitRepoVolumeSource Secret=secret?SecretVolumeSource NFS=nfs?NFSVolumeSource
        Volume ISCSI=iscsi?ISCSIVolumeSource Glusterfs=glusterfs?GlusterfsVolumeSource
        Volume PersistentVolumeClaim=persistentVolumeClaim?PersistentVolumeClaimVolumeSource RBD=rbd?RBDVolumeSource
        Volume Quobyte=quobyte?QuobyteVolumeSource FlexVolume=flexVolume?FlexVolumeSource
        Volume Cinder=cinder?CinderVolumeSource CephFS=cephfs?CephFSVolumeSource Flocker=flocker?FlockerVolumeSource
        Volume DownwardAPI=downwardAPI?DownwardAPIVolumeSource FC=fc?FCVolumeSource
        Volume AzureFile=azureFile?AzureFileVolumeSource ConfigMap=configMap?ConfigMapVolumeSource
        Volume VsphereVolume=vsphereVolume?VsphereVirtualDiskVolumeSource AzureDisk=azureDisk?AzureDiskVolumeSource
        Volume PhotonPersistentDisk=photonPersistentDisk?PhotonPersistentDiskVolumeSource
        Volume Projected=projected?ProjectedVolumeSource PortworxVolume=portworxVolume?PortworxVolumeSource
        Volume ScaleIO=scaleIO?ScaleIOVolumeSource StorageOS=storageos?StorageOSVolumeSource CSI=csi?CSIVolumeSource
        Volume Ephemeral=ephemeral?EphemeralVolumeSource Image=image?ImageVolumeSource
        EmptyDirVolumeSource Medium=medium SizeLimit=sizeLimit?
        GitRepoVolumeSource Repository=repository Revision=revision Directory=directory
        SecretVolumeSource SecretName=secretName Items=items*KeyToPath DefaultMode=defaultMode? Optional=optional?
        KeyToPath Key=key Path=path Mode=mode?
        ISCSIVolumeSource TargetPortal=targetPortal IQN=iqn Lun=lun# ISCSIInterface=iscsiInterface FSType=fsType
        ISCSIVolumeSource ReadOnly=readOnly! Portals=portals? DiscoveryCHAPAuth=chapAuthDiscovery!
        ISCSIVolumeSource SessionCHAPAuth=chapAuthSession! SecretRef=secretRef?LocalObjectReference
        ISCSIVolumeSource InitiatorName=initiatorName?
        GlusterfsVolumeSource EndpointsName=endpoints Path=path ReadOnly=readOnly!
        PersistentVolumeClaimVolumeSource ClaimName=claimName ReadOnly=readOnly!
        RBDVolumeSource CephMonitors=monitors? RBDImage=image FSType=fsType RBDPool=pool RadosUser=user
        RBDVolumeSource Keyring=keyring SecretRef=secretRef?LocalObjectReference ReadOnly=readOnly!
        FlexVolumeSource Driver=driver FSType=fsType SecretRef=secretRef?LocalObjectReference ReadOnly=readOnly!
        FlexVolumeSource Options=options?
        CinderVolumeSource VolumeID=volumeID FSType=fsType ReadOnly=readOnly! SecretRef=secretRef?LocalObjectReference
        CephFSVolumeSource Monitors=monitors? Path=path User=user SecretFile=secretFile
        CephFSVolumeSource SecretRef=secretRef?LocalObjectReference ReadOnly=readOnly!
        AzureFileVolumeSource SecretName=secretName ShareName=shareName ReadOnly=readOnly!
        ScaleIOVolumeSource Gateway=gateway System=system SecretRef=secretRef?LocalObjectReference
        ScaleIOVolumeSource SSLEnabled=sslEnabled! ProtectionDomain=protectionDomain StoragePool=storagePool
        ScaleIOVolumeSource StorageMode=storageMode VolumeName=volumeName FSType=fsType ReadOnly=readOnly!
        StorageOSVolumeSource VolumeName=volumeName VolumeNamespace=volumeNamespace FSType=fsType ReadOnly=readOnly!
        StorageOSVolumeSource SecretRef=secretRef?LocalObjectReference
        DownwardAPIVolumeSource Items=items*DownwardAPIVolumeFile DefaultMode=defaultMode?
        DownwardAPIVolumeFile Path=path FieldRef=fieldRef?ObjectFieldSelector
        DownwardAPIVolumeFile ResourceFieldRef=resourceFieldRef?ResourceFieldSelector Mode=mode?
        ConfigMapVolumeSource Name=name Items=items*KeyToPath DefaultMode=defaultMode? Optional=optional?
        ProjectedVolumeSource Sources=sources*VolumeProjection DefaultMode=defaultMode?
        VolumeProjection Secret=secret?SecretProjection DownwardAPI=downwardAPI?DownwardAPIProjection
        VolumeProjection ConfigMap=configMap?ConfigMapProjection
        VolumeProjection ServiceAccountToken=serviceAccountToken?ServiceAccountTokenProjection
        VolumeProjection ClusterTrustBundle=clusterTrustBundle?ClusterTrustBundleProjection
        VolumeProjection PodCertificate=podCertificate?PodCertificateProjection
        SecretProjection Name=name Items=items*KeyToPath Optional=optional?
        DownwardAPIProjection Items=items*DownwardAPIVolumeFile
        ConfigMapProjection Name=name Items=items*KeyToPath Optional=optional?
        ServiceAccountTokenProjection Audience=audience ExpirationSeconds=expirationSeconds# Path=path
        ClusterTrustBundleProjection Name=name? SignerName=signerName? LabelSelector=labelSelector?LabelSelector
        ClusterTrustBundleProjection Optional=optional? Path=path
        PodCertificateProjection SignerName=signerName KeyType=keyType MaxExpirationSeconds=maxExpirationSeconds?
        PodCertificateProjection CredentialBundlePath=credentialBundlePath KeyPath=keyPath
        PodCertificateProjection CertificateChainPath=certificateChainPath UserAnnotations=userAnnotations?
        CSIVolumeSource Driver=driver ReadOnly=readOnly? FSType=fsType? VolumeAttributes=volumeAttributes?
        CSIVolumeSource NodePublishSecretRef=nodePublishSecretRef?LocalObjectReference
        EphemeralVolumeSource VolumeClaimTemplate=volumeClaimTemplate?PersistentVolumeClaimTemplate
        PersistentVolumeClaimTemplate metadata>TemplateMetadata Spec=spec:PersistentVolumeClaimSpec
        TemplateMetadata name=name~ labels=labels~ annotations=annotations~
        ImageVolumeSource Reference=reference PullPolicy=pullPolicy
        """
}
