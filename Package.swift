// swift-tools-version: 6.2
import PackageDescription

// Every module of the house, lowest layer first. Imports go downward only;
// `Tests/TidyTests` holds that, so a new dependency here is a decision, not an accident.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
]

func module(_ name: String, _ dependencies: [Target.Dependency], linker: [LinkerSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict, linkerSettings: linker)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
    name: "lab",
    products: [.executable(name: "lab", targets: ["lab"])],
    targets: [
        // Layer 0: C, and the vocabulary that everything shares.
        .target(
            name: "CLinux",
            cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-std=gnu11"])]),
        .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CSeccomp", providers: [.apt(["libseccomp-dev"])]),
        .systemLibrary(name: "CArchive", providers: [.apt(["libarchive-dev"])]),
        .systemLibrary(name: "CDeflate", providers: [.apt(["libdeflate-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CYAML", providers: [.apt(["libyaml-dev"])]),
        module("Basics", []),

        // Layer 1
        module("Document", ["Basics", "CYAML"]),
        module("Linux", ["Basics", "CLinux"]),

        // Layer 2
        module("Wire", ["Basics", "Linux", "COpenSSL", "CDeflate", "CZlib"]),
        module("Schema", ["Basics", "Document"]),

        // Layer 3
        module("Kinds", ["Basics", "Document", "Schema", "Wire"]),
        module("Store", ["Basics", "Linux", "CSQLite"]),
        module("Images", ["Basics", "Document", "Linux", "Wire", "COpenSSL", "CArchive"]),
        module("Runtime", ["Basics", "Document", "Linux", "CLinux", "CSeccomp"]),

        // Layer 4
        module("APIServer", ["Basics", "Document", "Schema", "Wire", "Kinds", "Store"]),
        module("Client", ["Basics", "Document", "Wire", "Kinds"]),

        // Layer 5: one component each; they never import each other.
        module("Controllers", ["Basics", "Document", "Schema", "Kinds", "Client"]),
        module("Scheduler", ["Basics", "Document", "Kinds", "Client"]),
        module("Kubelet", ["Basics", "Document", "Linux", "Wire", "Kinds", "Client", "Images", "Runtime"]),
        module("Overlay", ["Basics", "Document", "Linux", "Kinds", "Client"]),
        module("Proxy", ["Basics", "Document", "Linux", "Wire", "Kinds", "Client"]),
        module("Policy", ["Basics", "Document", "Linux", "Kinds", "Client"]),
        module("DNS", ["Basics", "Document", "Linux", "Wire", "Kinds", "Client"]),
        module("Ingress", ["Basics", "Document", "Wire", "Kinds", "Client"]),

        // Layer 6
        module(
            "Cluster",
            [
                "Basics", "Document", "Linux", "Wire", "Schema", "Kinds", "Store", "Images", "Runtime", "APIServer",
                "Client", "Controllers", "Scheduler", "Kubelet", "Overlay", "Proxy", "DNS", "Policy", "Ingress",
            ]),
        module(
            "Simulation",
            ["Basics", "Document", "Wire", "Kinds", "Store", "APIServer", "Client", "Controllers", "Scheduler"]),
        module("Testbox", ["Basics", "Linux", "Wire", "Document"]),
        module("Scenario", ["Basics", "Document", "Wire", "Schema", "Kinds", "Client"]),
        // The suite of `Conformance/`, so that a binary without a checkout has it.
        .target(name: "SuiteFiles", swiftSettings: strict, plugins: ["EmbedSuite"]),
        .plugin(name: "EmbedSuite", capability: .buildTool(), dependencies: ["embed-suite"]),
        .executableTarget(name: "embed-suite", swiftSettings: strict),
        // The commit, for `/version` and `lab version`; in the last module, so that a commit recompiles nothing else.
        .plugin(name: "StampBuild", capability: .buildTool(), dependencies: ["stamp-build"]),
        .executableTarget(name: "stamp-build", swiftSettings: strict),

        // Layer 7
        module(
            "CLI",
            [
                "Basics", "Document", "Linux", "Wire", "Schema", "Kinds", "Images", "Runtime", "Client", "Cluster",
                "Scenario", "SuiteFiles", "Testbox",
                "Overlay",
            ]),
        .executableTarget(
            name: "lab",
            dependencies: ["CLI", "CLinux", "Kinds"],
            swiftSettings: strict,
            linkerSettings: [
                .unsafeFlags(["-static-executable", "-use-ld=lld", "-Xlinker", "--gc-sections"]),
                .unsafeFlags(["-Xlinker", "-s"], .when(configuration: .release)),
                .unsafeFlags(
                    [
                        "-lnettle", "-lacl", "-lattr", "-llzma", "-lzstd", "-llz4", "-lbz2", "-lz", "-lxml2",
                        "-licuuc", "-licudata", "-lgmp", "-lm", "-lstdc++",
                    ]),
            ],
            plugins: ["StampBuild"]),

        .executableTarget(
            name: "lab-bench",
            dependencies: [
                "Basics", "Document", "Linux", "Wire", "Kinds", "Client", "Cluster", "Runtime", "Scheduler",
                "Simulation", "DNS", "Ingress", "Overlay", "Proxy", "Policy",
            ],
            swiftSettings: strict),

        tests("TidyTests", []),
        tests("BasicsTests", ["Basics"]),
        tests("DocumentTests", ["Document"]),
        tests("LinuxTests", ["Linux", "CLinux"]),
        tests("WireTests", ["Wire", "Linux", "CZlib"]),
        tests("SchemaTests", ["Schema", "Document"]),
        tests("KindsTests", ["Kinds", "Schema", "Document", "Basics", "Wire"]),
        tests("StoreTests", ["Store"]),
        tests("ImagesTests", ["Images", "Document", "Basics", "Linux", "Wire"]),
        tests("RuntimeTests", ["Runtime", "Linux", "CLinux", "Document"]),
        tests("ClientTests", ["Client", "Simulation", "Kinds", "Document", "Wire"]),
        tests("FuzzTests", ["Basics", "Document", "Linux", "Schema", "Kinds", "Wire", "APIServer"]),
        tests("APIServerTests", ["APIServer", "Client", "Store", "Kinds", "Document", "Wire", "Linux"]),
        tests("ControllersTests", ["Controllers", "Kinds", "Document", "Client"]),
        tests("SchedulerTests", ["Scheduler", "Kinds", "Document", "Client"]),
        tests("KubeletTests", ["Kubelet", "Kinds", "Document", "Runtime", "Client", "Images", "Wire", "Linux"]),
        tests("NetworkTests", ["Overlay", "Proxy", "Policy", "DNS", "Linux", "Kinds", "Document", "Wire", "Client"]),
        tests("IngressTests", ["Ingress", "Linux", "Document", "Wire", "Client", "Basics"]),
        tests("SimulationTests", ["Simulation", "Controllers", "Scheduler", "Client", "Kinds", "Document", "Wire"]),
        tests("ScenarioTests", ["Scenario", "Document", "Testbox"]),
        tests("ClusterTests", ["Cluster", "Basics", "Client", "Document", "Linux", "Wire"]),
        tests("CLITests", ["CLI", "Cluster", "Document", "Kinds", "Scenario"]),
        tests(
            "SystemTests",
            ["Basics", "Document", "Linux", "Wire", "Kinds", "Store", "Client", "Cluster", "CLI"]),
    ])
