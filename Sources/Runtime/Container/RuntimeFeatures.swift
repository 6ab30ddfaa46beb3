import CSeccomp
import Document
import Linux

/// What this runtime can do, in the shape of OCI's features document.
public enum RuntimeFeatures {
    public static var seccompVersion: String {
        guard let version = seccomp_version()?.pointee else { return "unknown" }
        return "\(version.major).\(version.minor).\(version.micro)"
    }

    private static let architectures = [
        "AARCH64", "ARM", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC", "PPC64", "PPC64LE",
        "RISCV64", "S390", "S390X", "X32", "X86", "X86_64",
    ]

    public static func document(version: String) -> Document {
        [
            "ociVersionMin": "1.0.0", "ociVersionMax": "1.2.0",
            "hooks": Document(Hook.Kind.allCases.map(\.rawValue)), "mountOptions": Document(MountOptions.names),
            "linux": linux,
            "annotations": [
                "io.github.seccomp.libseccomp.version": Document(seccompVersion), "dev.lab.version": Document(version),
            ],
            "potentiallyUnsafeConfigAnnotations": [],
        ]
    }

    private static var linux: Document {
        [
            "namespaces": Document(NamespaceKind.allCases.map(\.rawValue).sorted()),
            "capabilities": Document(Capability.names.map { "CAP_\($0)" }),
            "cgroup": ["v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": true],
            "seccomp": [
                "enabled": true, "actions": Document(Action.names),
                "operators": Document(Argument.operations.keys.sorted()),
                "archs": Document(architectures.filter(SeccompFilter.knows).map { "SCMP_ARCH_\($0)" }),
                "knownFlags": Document(SeccompFilter.flagNames), "supportedFlags": Document(SeccompFilter.flagNames),
            ],
            "apparmor": ["enabled": true], "selinux": ["enabled": true], "intelRdt": ["enabled": false],
            "mountExtensions": ["idmap": ["enabled": true]],
        ]
    }

    /// `exec --cap`: usable at once, and kept by programs that are executed.
    public static func add(capabilities: [String], to process: inout ContainerProcess) throws {
        guard let mask = try Capability.mask(capabilities, subject: "--cap"), mask != 0 else { return }
        process.capabilities.bounding |= mask
        process.capabilities.effective |= mask
        process.capabilities.permitted |= mask
        // Only what is inheritable can stay ambient.
        process.capabilities.ambient |= mask & process.capabilities.inheritable
    }
}

extension SeccompFilter {
    static func knows(_ name: String) -> Bool { seccomp_arch_resolve_name(name.lowercased()) != 0 }
}
