import Schema

extension GroupText {
    static let storageV1 = GroupText(
        group: "storage.k8s.io", version: "v1", package: "io.k8s.api.storage.v1",
        texts: """
            kind CSIDriver csidrivers csidriver cluster
              column Name string format=name "Name of the object."
              column AttachRequired boolean "Whether volumes are attached to nodes first."
              column PodInfoOnMount boolean "Whether it is told about the pod."
              column StorageCapacity boolean "Whether pods wait for free space."
              column TokenRequests string "Audiences of tokens that it gets."
              column RequiresRepublish boolean "Whether it is called again and again."
              column Modes string "Kinds of volumes that it serves."
              column Age string "Time since it was made."

            kind CSINode csinodes csinode cluster
              column Name string format=name "Name of the object."
              column Drivers integer "Number of drivers."
              column Age string "Time since it was made."

            kind CSIStorageCapacity csistoragecapacities csistoragecapacity namespaced

            kind StorageClass storageclasses storageclass cluster short=sc
              column Name string format=name "Name of the object."
              column Provisioner string "Who makes the volumes."
              column ReclaimPolicy string "What becomes of volumes after their claim."
              column VolumeBindingMode string "When volumes are made and bound."
              column AllowVolumeExpansion string "Whether claims may grow."
              column Age string "Time since it was made."

            kind VolumeAttachment volumeattachments volumeattachment cluster
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Attacher string format=name "Driver that attaches it."
              column PV string "Volume."
              column Node string "Node."
              column Attached boolean "Whether it is attached."
              column Age string "Time since it was made."

            kind VolumeAttributesClass volumeattributesclasses volumeattributesclass cluster short=vac
              column Name string format=name "Name of the object."
              column DriverName string "Driver that it is for."
              column Age string "Time since it was made."

            type CSIDriver object  "A storage driver of the cluster."
              spec CSIDriverSpec required  "What is wanted."

            type CSIDriverSpec  "What a storage driver needs and can do."
              attachRequired                     bool? = true  "Whether volumes are attached to nodes first."
              fsGroupPolicy                      string? = ReadWriteOnceWithFSType  "Whether the group of files is changed: File, None or ReadWriteOnceWithFSType."
              nodeAllocatableUpdatePeriodSeconds int64?  "Seconds between updates of what nodes can hold."
              podInfoOnMount                     bool? = false  "Whether it is told about the pod."
              preventPodSchedulingIfMissing      bool?  "Whether pods avoid nodes without the driver."
              requiresRepublish                  bool? = false  "Whether it is called again and again while a pod lives."
              seLinuxMount                       bool? = false  "Whether it takes the SELinux context as a mount option."
              serviceAccountTokenInSecrets       bool?  "Whether tokens are passed as secrets and not as attributes."
              storageCapacity                    bool? = false  "Whether pods wait for free space."
              tokenRequests                      [TokenRequest] atomic  "Tokens of the pod's service account that it gets."
              volumeLifecycleModes               [string] set  "Kinds of volumes that it serves: Persistent, Ephemeral."

            type CSINode object  "Storage drivers of a node."
              spec CSINodeSpec required  "What is wanted."

            type CSINodeDriver  "A storage driver on a node."
              allocatable  VolumeNodeResources?  "What the node can hold."
              name         string required  "Name of the driver."
              nodeID       string required  "Name of the node in the storage system."
              topologyKeys [string] atomic  "Labels of the node that say where its volumes can be reached."

            type CSINodeSpec  "Storage drivers of a node."
              drivers [CSINodeDriver] required map(name) merge(name)  "The drivers."

            type CSIStorageCapacity object  "Free space of a storage class in a part of the cluster."
              capacity          quantity?  "Free space."
              maximumVolumeSize quantity?  "Largest volume that can be made."
              nodeTopology      LabelSelector?  "Nodes that can reach it."
              storageClassName  string required  "Storage class."

            type StorageClass object  "A way to make volumes."
              allowVolumeExpansion bool?  "Whether claims may grow."
              allowedTopologies    [core/v1:TopologySelectorTerm] atomic  "Nodes that volumes may be made for."
              mountOptions         [string] atomic  "Options of the mount."
              parameters           {string}  "Settings for the provisioner."
              provisioner          string required  "Who makes the volumes."
              reclaimPolicy        string? = Delete values(Delete,Recycle,Retain)  "What becomes of volumes after their claim: Delete or Retain."
              volumeBindingMode    string? = Immediate values(Immediate,WaitForFirstConsumer)  "When volumes are made and bound: Immediate or WaitForFirstConsumer."

            type TokenRequest  "A token that a driver gets."
              audience          string required  "Who accepts the token."
              expirationSeconds int64?  "Seconds that the token is good for."

            type VolumeAttachment object  "A volume attached to a node."
              spec   VolumeAttachmentSpec required  "What is wanted."
              status VolumeAttachmentStatus  "What is there."

            type VolumeAttachmentSource  "The volume to attach; one source."
              inlineVolumeSpec     core/v1:PersistentVolumeSpec?  "A volume without an object of its own."
              persistentVolumeName string?  "Name of the volume."

            type VolumeAttachmentSpec order(attacher,source,nodeName)  "What to attach where."
              attacher string required  "Driver that attaches it."
              nodeName string required  "Name of the node."
              source   VolumeAttachmentSource required  "The volume."

            type VolumeAttachmentStatus  "State of an attachment."
              attachError        VolumeError?  "Why attaching failed last."
              attached           bool required  "Whether it is attached."
              attachmentMetadata {string}  "What the driver said about the attachment."
              detachError        VolumeError?  "Why detaching failed last."

            type VolumeAttributesClass object  "Attributes of volumes that can change during their life."
              driverName string required  "Driver that it is for."
              parameters {string}  "The attributes."

            type VolumeError  "What went wrong with a volume."
              errorCode int32?  "Code of the driver's answer."
              message   string  "Explanation for people."
              time      time  "When it happened."

            type VolumeNodeResources  "What a node can hold."
              count int32?  "Number of volumes."
            """)
}
