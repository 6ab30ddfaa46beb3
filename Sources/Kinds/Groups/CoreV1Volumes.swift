extension StaticString {
    static let coreV1Volumes: StaticString = """
        type AWSElasticBlockStoreVolumeSource
          fsType    string
          partition int32
          readOnly  bool
          volumeID  string required nonempty

        type AttachedVolume
          devicePath string required
          name       string required

        type AzureDiskVolumeSource
          cachingMode string? = ReadWrite
          diskName    string required nonempty
          diskURI     string required nonempty
          fsType      string? = ext4
          kind        string? = Shared
          readOnly    bool? = false

        type AzureFilePersistentVolumeSource
          readOnly        bool
          secretName      string required nonempty
          secretNamespace string?
          shareName       string required nonempty

        type AzureFileVolumeSource
          readOnly   bool
          secretName string required nonempty
          shareName  string required nonempty

        type CSIPersistentVolumeSource
          controllerExpandSecretRef  SecretReference?
          controllerPublishSecretRef SecretReference?
          driver                 string required nonempty
          fsType                 string
          nodeExpandSecretRef        SecretReference?
          nodePublishSecretRef       SecretReference?
          nodeStageSecretRef         SecretReference?
          readOnly               bool
          volumeAttributes           {string}
          volumeHandle           string required nonempty

        type CSIVolumeSource
          driver           string required nonempty
          fsType           string?
          nodePublishSecretRef LocalObjectReference?
          readOnly         bool?
          volumeAttributes     {string}

        type CephFSPersistentVolumeSource
          monitors   [string] required nonempty atomic
          path       string
          readOnly   bool
          secretFile string
          secretRef  SecretReference?
          user       string

        type CephFSVolumeSource
          monitors   [string] required nonempty atomic
          path       string
          readOnly   bool
          secretFile string
          secretRef  LocalObjectReference?
          user       string

        type CinderPersistentVolumeSource
          fsType    string
          readOnly  bool
          secretRef SecretReference?
          volumeID  string required nonempty

        type CinderVolumeSource
          fsType    string
          readOnly  bool
          secretRef LocalObjectReference?
          volumeID  string required nonempty

        type ClusterTrustBundleProjection
          labelSelector LabelSelector?
          name          string?
          optional      bool?
          path          string required
          signerName    string?

        type ConfigMapProjection
          items    [KeyToPath] atomic
          name     string nonempty default=""
          optional bool?

        type ConfigMapVolumeSource
          defaultMode int32? = 420
          items       [KeyToPath] atomic
          name        string nonempty default=""
          optional    bool?

        type DownwardAPIProjection
          items [DownwardAPIVolumeFile] atomic

        type DownwardAPIVolumeFile
          fieldRef         ObjectFieldSelector?
          mode         int32?
          path         string required nonempty
          resourceFieldRef ResourceFieldSelector?

        type DownwardAPIVolumeSource
          defaultMode int32? = 420
          items       [DownwardAPIVolumeFile] atomic

        type EmptyDirVolumeSource
          medium    string
          sizeLimit quantity?

        type EphemeralVolumeSource
          volumeClaimTemplate PersistentVolumeClaimTemplate?

        type FCVolumeSource
          fsType     string
          lun        int32?
          readOnly   bool
          targetWWNs [string] atomic
          wwids      [string] atomic

        type FlexPersistentVolumeSource
          driver    string required nonempty
          fsType    string
          options   {string}
          readOnly  bool
          secretRef SecretReference?

        type FlexVolumeSource
          driver    string required nonempty
          fsType    string
          options   {string}
          readOnly  bool
          secretRef LocalObjectReference?

        type FlockerVolumeSource
          datasetName string
          datasetUUID string

        type GCEPersistentDiskVolumeSource
          fsType    string
          partition int32
          pdName    string required nonempty
          readOnly  bool

        type GitRepoVolumeSource
          directory  string
          repository string required nonempty
          revision   string

        type GlusterfsPersistentVolumeSource
          endpoints          string required nonempty
          endpointsNamespace string?
          path           string required nonempty
          readOnly           bool

        type GlusterfsVolumeSource
          endpoints string required nonempty
          path      string required nonempty
          readOnly  bool

        type HostPathVolumeSource
          path string required nonempty
          type string? = ""

        type ISCSIPersistentVolumeSource
          chapAuthDiscovery bool
          chapAuthSession   bool
          fsType        string
          initiatorName     string?
          iqn           string required nonempty
          iscsiInterface    string default=default
          lun           int32 required min=0 max=255
          portals           [string] atomic
          readOnly          bool
          secretRef         SecretReference?
          targetPortal      string required nonempty

        type ISCSIVolumeSource
          chapAuthDiscovery bool
          chapAuthSession   bool
          fsType        string
          initiatorName     string?
          iqn           string required nonempty
          iscsiInterface    string default=default
          lun           int32 required min=0 max=255
          portals           [string] atomic
          readOnly          bool
          secretRef         LocalObjectReference?
          targetPortal      string required nonempty

        type ImageVolumeSource
          pullPolicy string
          reference  string

        type ImageVolumeStatus
          imageRef string required

        type KeyToPath
          key  string required nonempty
          mode int32? min=0 max=511
          path string required nonempty

        type LocalVolumeSource
          fsType string?
          path   string required nonempty

        type ModifyVolumeStatus
          status                  string required
          targetVolumeAttributesClassName string

        type NFSVolumeSource
          path     string required nonempty
          readOnly bool
          server   string required nonempty

        type PersistentVolume object
          spec   PersistentVolumeSpec
          status PersistentVolumeStatus

        type PersistentVolumeClaim object
          spec   PersistentVolumeClaimSpec
          status PersistentVolumeClaimStatus

        type PersistentVolumeClaimCondition
          lastProbeTime      time
          lastTransitionTime time
          message        string
          reason         string
          status         string required
          type           string required

        type PersistentVolumeClaimSpec
          accessModes           [string] atomic
          dataSource            TypedLocalObjectReference?
          dataSourceRef         TypedObjectReference?
          resources             VolumeResourceRequirements
          selector              LabelSelector?
          storageClassName          string?
          volumeAttributesClassName string?
          volumeMode            string? = Filesystem enum(Block,Filesystem)
          volumeName            string

        type PersistentVolumeClaimStatus
          accessModes                  [string] atomic
          allocatedResourceStatuses        {string} granular
          allocatedResources           {quantity}
          capacity                 {quantity}
          conditions                   [PersistentVolumeClaimCondition] map(type) merge(type)
          currentVolumeAttributesClassName string?
          modifyVolumeStatus           ModifyVolumeStatus?
          phase                    string = Pending

        type PersistentVolumeClaimTemplate
          metadata ObjectMeta
          spec     PersistentVolumeClaimSpec required

        type PersistentVolumeClaimVolumeSource
          claimName string required nonempty
          readOnly  bool

        type PersistentVolumeSpec
          accessModes               [string] atomic
          awsElasticBlockStore          AWSElasticBlockStoreVolumeSource?
          azureDisk                 AzureDiskVolumeSource?
          azureFile                 AzureFilePersistentVolumeSource?
          capacity                  {quantity}
          cephfs                CephFSPersistentVolumeSource?
          cinder                CinderPersistentVolumeSource?
          claimRef                  ObjectReference? granular
          csi                   CSIPersistentVolumeSource?
          fc                    FCVolumeSource?
          flexVolume                FlexPersistentVolumeSource?
          flocker                   FlockerVolumeSource?
          gcePersistentDisk         GCEPersistentDiskVolumeSource?
          glusterfs                 GlusterfsPersistentVolumeSource?
          hostPath                  HostPathVolumeSource?
          iscsi                 ISCSIPersistentVolumeSource?
          local                 LocalVolumeSource?
          mountOptions              [string] atomic
          nfs                   NFSVolumeSource?
          nodeAffinity              VolumeNodeAffinity?
          persistentVolumeReclaimPolicy string = Retain enum(Delete,Recycle,Retain)
          photonPersistentDisk          PhotonPersistentDiskVolumeSource?
          portworxVolume            PortworxVolumeSource?
          quobyte                   QuobyteVolumeSource?
          rbd                   RBDPersistentVolumeSource?
          scaleIO                   ScaleIOPersistentVolumeSource?
          storageClassName          string
          storageos                 StorageOSPersistentVolumeSource?
          volumeAttributesClassName     string?
          volumeMode                string? = Filesystem enum(Block,Filesystem)
          vsphereVolume             VsphereVirtualDiskVolumeSource?

        type PersistentVolumeStatus
          lastPhaseTransitionTime time?
          message             string
          phase               string = Pending
          reason              string

        type PhotonPersistentDiskVolumeSource
          fsType string
          pdID   string required nonempty

        type PodCertificateProjection
          certificateChainPath string
          credentialBundlePath string
          keyPath          string
          keyType          string required
          maxExpirationSeconds int32?
          signerName           string required
          userAnnotations      {string}

        type PortworxVolumeSource
          fsType   string
          readOnly bool
          volumeID string required nonempty

        type ProjectedVolumeSource
          defaultMode int32? = 420
          sources     [VolumeProjection] atomic

        type QuobyteVolumeSource
          group    string
          readOnly bool
          registry string required nonempty
          tenant   string
          user     string
          volume   string required nonempty

        type RBDPersistentVolumeSource
          fsType    string
          image     string required nonempty
          keyring   string default=/etc/ceph/keyring
          monitors  [string] required nonempty atomic
          pool      string default=rbd
          readOnly  bool
          secretRef SecretReference?
          user      string default=admin

        type RBDVolumeSource
          fsType    string
          image     string required nonempty
          keyring   string default=/etc/ceph/keyring
          monitors  [string] required nonempty atomic
          pool      string default=rbd
          readOnly  bool
          secretRef LocalObjectReference?
          user      string default=admin

        type ScaleIOPersistentVolumeSource
          fsType           string default=xfs
          gateway          string required
          protectionDomain string
          readOnly         bool
          secretRef        SecretReference? required
          sslEnabled       bool
          storageMode      string default=ThinProvisioned
          storagePool      string
          system           string required
          volumeName       string

        type ScaleIOVolumeSource
          fsType           string default=xfs
          gateway          string required
          protectionDomain string
          readOnly         bool
          secretRef        LocalObjectReference? required
          sslEnabled       bool
          storageMode      string default=ThinProvisioned
          storagePool      string
          system           string required
          volumeName       string

        type SecretProjection
          items    [KeyToPath] atomic
          name     string nonempty default=""
          optional bool?

        type SecretVolumeSource
          defaultMode int32? = 420
          items       [KeyToPath] atomic
          optional    bool?
          secretName  string nonempty

        type ServiceAccountTokenProjection
          audience          string
          expirationSeconds int64? = 3600
          path          string required nonempty

        type StorageOSPersistentVolumeSource
          fsType          string
          readOnly        bool
          secretRef       ObjectReference?
          volumeName      string
          volumeNamespace string

        type StorageOSVolumeSource
          fsType          string
          readOnly        bool
          secretRef       LocalObjectReference?
          volumeName      string
          volumeNamespace string

        type Volume
          awsElasticBlockStore  AWSElasticBlockStoreVolumeSource?
          azureDisk         AzureDiskVolumeSource?
          azureFile         AzureFileVolumeSource?
          cephfs            CephFSVolumeSource?
          cinder            CinderVolumeSource?
          configMap         ConfigMapVolumeSource?
          csi               CSIVolumeSource?
          downwardAPI           DownwardAPIVolumeSource?
          emptyDir          EmptyDirVolumeSource?
          ephemeral         EphemeralVolumeSource?
          fc                FCVolumeSource?
          flexVolume        FlexVolumeSource?
          flocker           FlockerVolumeSource?
          gcePersistentDisk     GCEPersistentDiskVolumeSource?
          gitRepo           GitRepoVolumeSource?
          glusterfs         GlusterfsVolumeSource?
          hostPath          HostPathVolumeSource?
          image             ImageVolumeSource?
          iscsi             ISCSIVolumeSource?
          name              string required nonempty
          nfs               NFSVolumeSource?
          persistentVolumeClaim PersistentVolumeClaimVolumeSource?
          photonPersistentDisk  PhotonPersistentDiskVolumeSource?
          portworxVolume        PortworxVolumeSource?
          projected         ProjectedVolumeSource?
          quobyte           QuobyteVolumeSource?
          rbd               RBDVolumeSource?
          scaleIO           ScaleIOVolumeSource?
          secret            SecretVolumeSource?
          storageos         StorageOSVolumeSource?
          vsphereVolume         VsphereVirtualDiskVolumeSource?

        type VolumeDevice
          devicePath string required nonempty
          name       string required nonempty

        type VolumeMount
          mountPath         string required nonempty
          mountPropagation  string?
          name          string required nonempty
          readOnly          bool
          recursiveReadOnly string?
          subPath           string
          subPathExpr       string

        type VolumeMountStatus
          mountPath         string required
          name          string required
          readOnly          bool
          recursiveReadOnly string?
          volumeStatus      VolumeStatus?

        type VolumeNodeAffinity
          required NodeSelector?

        type VolumeProjection
          clusterTrustBundle  ClusterTrustBundleProjection?
          configMap           ConfigMapProjection?
          downwardAPI         DownwardAPIProjection?
          podCertificate      PodCertificateProjection?
          secret          SecretProjection?
          serviceAccountToken ServiceAccountTokenProjection?

        type VolumeResourceRequirements
          limits   {quantity}
          requests {quantity}

        type VolumeStatus
          image ImageVolumeStatus?

        type VsphereVirtualDiskVolumeSource
          fsType        string
          storagePolicyID   string
          storagePolicyName string
          volumePath        string required nonempty
        """
}
