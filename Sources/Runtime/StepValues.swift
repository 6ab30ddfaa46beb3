import CLinux

/// What the steps of a plan are made of.

/// Changes of a mount's attributes (MOUNT_ATTR_*): of the mount itself, and of it with all below.
public struct AttributeChange: Sendable, Equatable {
    public var set: UInt64 = 0
    public var cleared: UInt64 = 0
    public var setBelow: UInt64 = 0
    public var clearedBelow: UInt64 = 0

    public init(set: UInt64 = 0, cleared: UInt64 = 0, setBelow: UInt64 = 0, clearedBelow: UInt64 = 0) {
        self.set = set
        self.cleared = cleared
        self.setBelow = setBelow
        self.clearedBelow = clearedBelow
    }
}

public struct MountHandling: OptionSet, Sendable, Equatable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The new file system starts with a copy of what it covers.
    public static let copyUp = MountHandling(rawValue: UInt64(LAB_MOUNT_COPY_UP))
    /// The target has to be a directory, not a link: nothing else may pass for /proc.
    public static let ordinary = MountHandling(rawValue: UInt64(LAB_MOUNT_ORDINARY))
    public static let keepMode = MountHandling(rawValue: UInt64(LAB_MOUNT_KEEP_MODE))
}

public enum Pivot: Sendable, Equatable {
    case root
    /// For a root in an initramfs, which pivot_root refuses.
    case move
    case chroot

    var code: UInt64 {
        switch self {
        case .root: UInt64(LAB_PIVOT_ROOT)
        case .move: UInt64(LAB_PIVOT_MOVE)
        case .chroot: UInt64(LAB_PIVOT_CHROOT)
        }
    }
}

public struct DeviceNode: Sendable, Equatable {
    public var path: String
    /// With the file type.
    public var mode: UInt32
    public var major: UInt32
    public var minor: UInt32
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0
    /// Something else at its place is an error, not left there.
    public var isExact = false

    public init(path: String, mode: UInt32, major: UInt32, minor: UInt32) {
        self.path = path
        self.mode = mode
        self.major = major
        self.minor = minor
    }
}

/// The five sets, as bits.
public struct CapabilityMasks: Sendable, Equatable {
    public var bounding: UInt64 = 0
    public var effective: UInt64 = 0
    public var permitted: UInt64 = 0
    public var inheritable: UInt64 = 0
    public var ambient: UInt64 = 0

    public init() {}

    /// Held and usable, and not inherited: what container runtimes give.
    public init(_ mask: UInt64) {
        bounding = mask
        effective = mask
        permitted = mask
    }
}

/// The content of `uid_map` and `gid_map`.
public struct IDMaps: Sendable, Equatable {
    public struct Range: Sendable, Equatable {
        public var inside: UInt32
        public var outside: UInt32
        public var count: UInt32

        public init(inside: UInt32, outside: UInt32, count: UInt32) {
            self.inside = inside
            self.outside = outside
            self.count = count
        }
    }

    public var uids: [Range]
    public var gids: [Range]

    public init(uids: [Range] = [], gids: [Range] = []) {
        self.uids = uids
        self.gids = gids
    }

    static func text(_ ranges: [Range]) -> String {
        ranges.map { "\($0.inside) \($0.outside) \($0.count)\n" }.joined()
    }
}

/// A program that runs inside the container's namespaces before its own.
public struct HookCall: Sendable, Equatable {
    public var kind: String
    public var path: String
    public var timeoutSeconds: UInt64
    public var arguments: [String]
    public var environment: [String]
    /// The container's state as JSON, up to and after the pid.
    public var stateBefore: String
    public var stateAfter: String
}

/// The arguments of sched_setattr(2).
public struct SchedulerSetting: Sendable, Equatable {
    public var policy: UInt32 = 0
    public var flags: UInt64 = 0
    public var nice: Int32 = 0
    public var priority: UInt32 = 0
    public var runtime: UInt64 = 0
    public var deadline: UInt64 = 0
    public var period: UInt64 = 0

    public init() {}
}
