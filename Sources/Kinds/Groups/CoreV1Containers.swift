extension StaticString {
    static let coreV1Containers: StaticString = """
        type AppArmorProfile union(type:localhostProfile=LocalhostProfile)
          localhostProfile string?
          type         string required enum(Localhost,RuntimeDefault,Unconfined)

        type Capabilities
          add  [string] atomic
          drop [string] atomic

        type ConfigMapEnvSource
          name     string default="" always
          optional bool?

        type ConfigMapKeySelector atomic
          key      string required nonempty
          name     string default="" always
          optional bool?

        type Container
          args                 [string] atomic
          command              [string] atomic
          env                  [EnvVar] map(name) merge(name)
          envFrom              [EnvFromSource] atomic
          image                string
          imagePullPolicy          string enum(Always,IfNotPresent,Never)
          lifecycle            Lifecycle?
          livenessProbe        Probe?
          name                 string required nonempty format=dns-label
          ports                [ContainerPort] map(containerPort,protocol) merge(containerPort)
          readinessProbe           Probe?
          resizePolicy         [ContainerResizePolicy] atomic
          resources            ResourceRequirements
          restartPolicy        string?
          restartPolicyRules       [ContainerRestartRule] atomic
          securityContext          SecurityContext?
          startupProbe         Probe?
          stdin                bool
          stdinOnce            bool
          terminationMessagePath   string = /dev/termination-log
          terminationMessagePolicy string = File enum(File,FallbackToLogsOnError)
          tty                  bool
          volumeDevices        [VolumeDevice] map(devicePath) merge(devicePath)
          volumeMounts         [VolumeMount] map(mountPath) merge(mountPath)
          workingDir           string

        type ContainerExtendedResourceRequest
          containerName string required
          requestName   string required
          resourceName  string required

        type ContainerPort
          containerPort int32 required
          hostIP        string
          hostPort      int32 min=0 max=65535
          name          string
          protocol      string default=TCP enum(SCTP,TCP,UDP)

        type ContainerResizePolicy
          resourceName  string required enum(cpu,memory)
          restartPolicy string required

        type ContainerRestartRule
          action    string required
          exitCodes ContainerRestartRuleOnExitCodes?

        type ContainerRestartRuleOnExitCodes
          operator string required enum(In,NotIn)
          values   [int32] set

        type ContainerState
          running    ContainerStateRunning?
          terminated ContainerStateTerminated?
          waiting    ContainerStateWaiting?

        type ContainerStateRunning
          startedAt time

        type ContainerStateTerminated
          containerID string
          exitCode    int32 required
          finishedAt  time
          message     string
          reason      string
          signal      int32
          startedAt   time

        type ContainerStateWaiting
          message string
          reason  string

        type ContainerStatus
          allocatedResources       {quantity}
          allocatedResourcesStatus [ResourceStatus] map(name) merge(name)
          containerID          string
          image                string required
          imageID              string required
          lastState            ContainerState
          name                 string required
          ready                bool required
          resources            ResourceRequirements?
          restartCount         int32 required
          started              bool?
          state                ContainerState
          stopSignal           string?
          user                 ContainerUser?
          volumeMounts         [VolumeMountStatus] map(mountPath) merge(mountPath)

        type ContainerUser
          linux LinuxContainerUser?

        type EnvFromSource
          configMapRef ConfigMapEnvSource?
          prefix       string
          secretRef    SecretEnvSource?

        type EnvVar
          name      string required nonempty
          value     string
          valueFrom EnvVarSource?

        type EnvVarSource
          configMapKeyRef  ConfigMapKeySelector?
          fieldRef         ObjectFieldSelector?
          fileKeyRef       FileKeySelector?
          resourceFieldRef ResourceFieldSelector?
          secretKeyRef     SecretKeySelector?

        type EphemeralContainer
          args                 [string] atomic
          command              [string] atomic
          env                  [EnvVar] map(name) merge(name)
          envFrom              [EnvFromSource] atomic
          image                string
          imagePullPolicy          string enum(Always,IfNotPresent,Never)
          lifecycle            Lifecycle?
          livenessProbe        Probe?
          name                 string required nonempty format=dns-label
          ports                [ContainerPort] map(containerPort,protocol) merge(containerPort)
          readinessProbe           Probe?
          resizePolicy         [ContainerResizePolicy] atomic
          resources            ResourceRequirements
          restartPolicy        string?
          restartPolicyRules       [ContainerRestartRule] atomic
          securityContext          SecurityContext?
          startupProbe         Probe?
          stdin                bool
          stdinOnce            bool
          targetContainerName      string
          terminationMessagePath   string = /dev/termination-log
          terminationMessagePolicy string = File enum(File,FallbackToLogsOnError)
          tty                  bool
          volumeDevices        [VolumeDevice] map(devicePath) merge(devicePath)
          volumeMounts         [VolumeMount] map(mountPath) merge(mountPath)
          workingDir           string

        type ExecAction
          command [string] atomic

        type FileKeySelector atomic
          key        string required
          optional   bool? default=false
          path       string required
          volumeName string required

        type GRPCAction
          port    int32 required
          service string? default=""

        type HTTPGetAction
          host        string
          httpHeaders [HTTPHeader] atomic
          path        string = /
          port        intOrString required
          scheme      string = HTTP enum(HTTP,HTTPS)

        type HTTPHeader
          name  string required
          value string required

        type Lifecycle
          postStart  LifecycleHandler?
          preStop    LifecycleHandler?
          stopSignal string?

        type LifecycleHandler
          exec      ExecAction?
          httpGet   HTTPGetAction?
          sleep     SleepAction?
          tcpSocket TCPSocketAction?

        type LinuxContainerUser
          gid            int64 required
          supplementalGroups [int64] atomic
          uid            int64 required

        type ObjectFieldSelector atomic
          apiVersion string = v1
          fieldPath  string required nonempty

        type Probe
          exec                  ExecAction?
          failureThreshold          int32 = 3 min=0
          grpc                  GRPCAction?
          httpGet                   HTTPGetAction?
          initialDelaySeconds           int32 min=0
          periodSeconds             int32 = 10 min=0
          successThreshold          int32 = 1 min=0
          tcpSocket                 TCPSocketAction?
          terminationGracePeriodSeconds int64?
          timeoutSeconds            int32 = 1 min=0

        type ResourceClaim
          name    string required
          request string

        type ResourceFieldSelector atomic
          containerName string
          divisor       quantity = 0
          resource      string required nonempty

        type ResourceHealth
          health     string
          message    string
          resourceID string required

        type ResourceRequirements
          claims   [ResourceClaim] map(name)
          limits   {quantity}
          requests {quantity}

        type ResourceStatus
          name      string required
          resources [ResourceHealth] map(resourceID)

        type SELinuxOptions
          level string
          role  string
          type  string
          user  string

        type SeccompProfile union(type:localhostProfile=LocalhostProfile)
          localhostProfile string?
          type         string required

        type SecretEnvSource
          name     string default="" always
          optional bool?

        type SecretKeySelector atomic
          key      string required nonempty
          name     string default="" always
          optional bool?

        type SecurityContext
          allowPrivilegeEscalation bool?
          appArmorProfile          AppArmorProfile?
          capabilities         Capabilities?
          privileged           bool?
          procMount            string? enum(Default,Unmasked)
          readOnlyRootFilesystem   bool?
          runAsGroup           int64? min=0 max=2147483647
          runAsNonRoot         bool?
          runAsUser            int64? min=0 max=2147483647
          seLinuxOptions           SELinuxOptions?
          seccompProfile           SeccompProfile?
          windowsOptions           WindowsSecurityContextOptions?

        type SleepAction
          seconds int64 required

        type TCPSocketAction
          host string
          port intOrString required

        type WindowsSecurityContextOptions
          gmsaCredentialSpec     string?
          gmsaCredentialSpecName string?
          hostProcess        bool?
          runAsUserName          string?
        """
}
