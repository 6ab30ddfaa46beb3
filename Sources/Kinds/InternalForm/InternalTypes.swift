// The structures that messages show; see `InternalForm` for the form of the text.

extension InternalForm {
    static let types: StaticString = """
        LabelSelector matchLabels=matchLabels~ matchExpressions=matchExpressions~*LabelSelectorRequirement
        LabelSelectorRequirement key=key operator=operator values=values~
        ParentReference Group=group Resource=resource Namespace=namespace Name=name
        ServiceCIDRSpec CIDRs=cidrs?
        CSINodeDriver Name=name NodeID=nodeID TopologyKeys=topologyKeys? Allocatable=allocatable?VolumeNodeResources
        VolumeNodeResources Count=count?
        VolumeAttachmentSpec Attacher=attacher Source=source:VolumeAttachmentSource NodeName=nodeName
        VolumeAttachmentSource PersistentVolumeName=persistentVolumeName?
        VolumeAttachmentSource InlineVolumeSpec=inlineVolumeSpec?PersistentVolumeSpec
        ResourceClaimSpec Devices=devices:DeviceClaim
        DeviceClaim Requests=requests*DeviceRequest Constraints=constraints*DeviceConstraint
        DeviceClaim Config=config*DeviceClaimConfiguration
        DeviceRequest Name=name Exactly=exactly?ExactDeviceRequest FirstAvailable=firstAvailable*DeviceSubRequest
        ExactDeviceRequest DeviceClassName=deviceClassName Selectors=selectors*DeviceSelector
        ExactDeviceRequest AllocationMode=allocationMode Count=count# AdminAccess=adminAccess?
        ExactDeviceRequest Tolerations=tolerations*DeviceToleration Capacity=capacity?CapacityRequirements
        DeviceSubRequest Name=name DeviceClassName=deviceClassName Selectors=selectors*DeviceSelector
        DeviceSubRequest AllocationMode=allocationMode Count=count# Tolerations=tolerations*DeviceToleration
        DeviceSubRequest Capacity=capacity?CapacityRequirements
        DeviceSelector CEL=cel?CELDeviceSelector
        CELDeviceSelector Expression=expression
        CapacityRequirements Requests=requests?
        DeviceToleration Key=key Operator=operator Value=value Effect=effect TolerationSeconds=tolerationSeconds?
        DeviceConstraint Requests=requests? MatchAttribute=matchAttribute? DistinctAttribute=distinctAttribute?
        DeviceClaimConfiguration Requests=requests? Opaque=opaque?OpaqueDeviceConfiguration
        OpaqueDeviceConfiguration Driver=driver Parameters=parameters?
        """

    static let coreTypes: StaticString = """
        ObjectReference Kind=kind Namespace=namespace Name=name UID=uid APIVersion=apiVersion
        ObjectReference ResourceVersion=resourceVersion FieldPath=fieldPath
        SecretReference Name=name Namespace=namespace
        TypedLocalObjectReference APIGroup=apiGroup? Kind=kind Name=name
        TypedObjectReference APIGroup=apiGroup? Kind=kind Name=name Namespace=namespace?
        NodeSelector NodeSelectorTerms=nodeSelectorTerms*NodeSelectorTerm
        NodeSelectorTerm MatchExpressions=matchExpressions*NodeSelectorRequirement
        NodeSelectorTerm MatchFields=matchFields*NodeSelectorRequirement
        NodeSelectorRequirement Key=key Operator=operator Values=values?
        VolumeNodeAffinity Required=required?NodeSelector
        VolumeResourceRequirements Limits=limits? Requests=requests?
        PersistentVolumeClaimSpec AccessModes=accessModes? Selector=selector?LabelSelector
        PersistentVolumeClaimSpec Resources=resources:VolumeResourceRequirements VolumeName=volumeName
        PersistentVolumeClaimSpec StorageClassName=storageClassName? VolumeMode=volumeMode?
        PersistentVolumeClaimSpec DataSource=dataSource?TypedLocalObjectReference
        PersistentVolumeClaimSpec DataSourceRef=dataSourceRef?TypedObjectReference
        PersistentVolumeClaimSpec VolumeAttributesClassName=volumeAttributesClassName?
        PersistentVolumeSpec Capacity=capacity? >PersistentVolumeSource AccessModes=accessModes?
        PersistentVolumeSpec ClaimRef=claimRef?ObjectReference
        PersistentVolumeSpec PersistentVolumeReclaimPolicy=persistentVolumeReclaimPolicy
        PersistentVolumeSpec StorageClassName=storageClassName MountOptions=mountOptions? VolumeMode=volumeMode?
        PersistentVolumeSpec NodeAffinity=nodeAffinity?VolumeNodeAffinity
        PersistentVolumeSpec VolumeAttributesClassName=volumeAttributesClassName?
        PersistentVolumeSource GCEPersistentDisk=gcePersistentDisk?GCEPersistentDiskVolumeSource
        PersistentVolumeSource AWSElasticBlockStore=awsElasticBlockStore?AWSElasticBlockStoreVolumeSource
        PersistentVolumeSource HostPath=hostPath?HostPathVolumeSource
        PersistentVolumeSource Glusterfs=glusterfs?GlusterfsPersistentVolumeSource
        PersistentVolumeSource NFS=nfs?NFSVolumeSource RBD=rbd?RBDPersistentVolumeSource
        PersistentVolumeSource Quobyte=quobyte?QuobyteVolumeSource ISCSI=iscsi?ISCSIPersistentVolumeSource
        PersistentVolumeSource FlexVolume=flexVolume?FlexPersistentVolumeSource
        PersistentVolumeSource Cinder=cinder?CinderPersistentVolumeSource CephFS=cephfs?CephFSPersistentVolumeSource
        PersistentVolumeSource FC=fc?FCVolumeSource Flocker=flocker?FlockerVolumeSource
        PersistentVolumeSource AzureFile=azureFile?AzureFilePersistentVolumeSource
        PersistentVolumeSource VsphereVolume=vsphereVolume?VsphereVirtualDiskVolumeSource
        PersistentVolumeSource AzureDisk=azureDisk?AzureDiskVolumeSource
        PersistentVolumeSource PhotonPersistentDisk=photonPersistentDisk?PhotonPersistentDiskVolumeSource
        PersistentVolumeSource PortworxVolume=portworxVolume?PortworxVolumeSource
        PersistentVolumeSource ScaleIO=scaleIO?ScaleIOPersistentVolumeSource Local=local?LocalVolumeSource
        PersistentVolumeSource StorageOS=storageos?StorageOSPersistentVolumeSource CSI=csi?CSIPersistentVolumeSource
        GCEPersistentDiskVolumeSource PDName=pdName FSType=fsType Partition=partition# ReadOnly=readOnly!
        AWSElasticBlockStoreVolumeSource VolumeID=volumeID FSType=fsType Partition=partition# ReadOnly=readOnly!
        HostPathVolumeSource Path=path Type=type?
        GlusterfsPersistentVolumeSource EndpointsName=endpoints Path=path ReadOnly=readOnly!
        GlusterfsPersistentVolumeSource EndpointsNamespace=endpointsNamespace?
        NFSVolumeSource Server=server Path=path ReadOnly=readOnly!
        RBDPersistentVolumeSource CephMonitors=monitors? RBDImage=image FSType=fsType RBDPool=pool RadosUser=user
        RBDPersistentVolumeSource Keyring=keyring SecretRef=secretRef?SecretReference ReadOnly=readOnly!
        QuobyteVolumeSource Registry=registry Volume=volume ReadOnly=readOnly! User=user Group=group Tenant=tenant
        ISCSIPersistentVolumeSource TargetPortal=targetPortal IQN=iqn Lun=lun# ISCSIInterface=iscsiInterface
        ISCSIPersistentVolumeSource FSType=fsType ReadOnly=readOnly! Portals=portals?
        ISCSIPersistentVolumeSource DiscoveryCHAPAuth=chapAuthDiscovery! SessionCHAPAuth=chapAuthSession!
        ISCSIPersistentVolumeSource SecretRef=secretRef?SecretReference InitiatorName=initiatorName?
        FlexPersistentVolumeSource Driver=driver FSType=fsType SecretRef=secretRef?SecretReference ReadOnly=readOnly!
        FlexPersistentVolumeSource Options=options?
        CinderPersistentVolumeSource VolumeID=volumeID FSType=fsType ReadOnly=readOnly!
        CinderPersistentVolumeSource SecretRef=secretRef?SecretReference
        CephFSPersistentVolumeSource Monitors=monitors? Path=path User=user SecretFile=secretFile
        CephFSPersistentVolumeSource SecretRef=secretRef?SecretReference ReadOnly=readOnly!
        FCVolumeSource TargetWWNs=targetWWNs? Lun=lun? FSType=fsType ReadOnly=readOnly! WWIDs=wwids?
        FlockerVolumeSource DatasetName=datasetName DatasetUUID=datasetUUID
        AzureFilePersistentVolumeSource SecretName=secretName ShareName=shareName ReadOnly=readOnly!
        AzureFilePersistentVolumeSource SecretNamespace=secretNamespace?
        VsphereVirtualDiskVolumeSource VolumePath=volumePath FSType=fsType StoragePolicyName=storagePolicyName
        VsphereVirtualDiskVolumeSource StoragePolicyID=storagePolicyID
        AzureDiskVolumeSource DiskName=diskName DataDiskURI=diskURI CachingMode=cachingMode? FSType=fsType?
        AzureDiskVolumeSource ReadOnly=readOnly? Kind=kind?
        PhotonPersistentDiskVolumeSource PdID=pdID FSType=fsType
        PortworxVolumeSource VolumeID=volumeID FSType=fsType ReadOnly=readOnly!
        ScaleIOPersistentVolumeSource Gateway=gateway System=system SecretRef=secretRef?SecretReference
        ScaleIOPersistentVolumeSource SSLEnabled=sslEnabled! ProtectionDomain=protectionDomain
        ScaleIOPersistentVolumeSource StoragePool=storagePool StorageMode=storageMode VolumeName=volumeName
        ScaleIOPersistentVolumeSource FSType=fsType ReadOnly=readOnly!
        LocalVolumeSource Path=path FSType=fsType?
        StorageOSPersistentVolumeSource VolumeName=volumeName VolumeNamespace=volumeNamespace FSType=fsType
        StorageOSPersistentVolumeSource ReadOnly=readOnly! SecretRef=secretRef?ObjectReference
        CSIPersistentVolumeSource Driver=driver VolumeHandle=volumeHandle ReadOnly=readOnly! FSType=fsType
        CSIPersistentVolumeSource VolumeAttributes=volumeAttributes?
        CSIPersistentVolumeSource ControllerPublishSecretRef=controllerPublishSecretRef?SecretReference
        CSIPersistentVolumeSource NodeStageSecretRef=nodeStageSecretRef?SecretReference
        CSIPersistentVolumeSource NodePublishSecretRef=nodePublishSecretRef?SecretReference
        CSIPersistentVolumeSource ControllerExpandSecretRef=controllerExpandSecretRef?SecretReference
        CSIPersistentVolumeSource NodeExpandSecretRef=nodeExpandSecretRef?SecretReference
        """
}
