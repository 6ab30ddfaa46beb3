import Document
import Glibc
import Linux
import Testing

@testable import Kubelet

@Suite struct EnvironmentFileTests {
    private let text = """
        # settings
          NAME='value' # said twice

        LINES='one
        two'
        EMPTY=
        BLANK= 'nothing'
        RAW='$HOME \\n "x"'
        """

    @Test(arguments: [
        ("NAME", "value"), ("LINES", "one\ntwo"), ("EMPTY", ""), ("BLANK", ""), ("RAW", "$HOME \\n \"x\""),
        ("NONE", nil),
    ])
    func values(key: String, value: String?) throws { #expect(try EnvironmentFile.value(of: key, in: text) == value) }

    @Test(arguments: ["NAME", "NAME ='x'", "='x'", "A='x", "A='x'y", "A=x"])
    func wrongLinesAreRefused(_ text: String) {
        #expect(throws: EnvironmentFile.Problem.self) { try EnvironmentFile.value(of: "Z", in: text) }
    }

    @Test func variablesComeFromAFileOfAVolume() throws {
        var template = Array("/tmp/kubelet-env-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw SystemError("mkdtemp", errno: errno) }
        let directory = String(cString: made)
        defer { try? Files.removeTree(directory) }
        try Files.write(Array("KEY='found'\n".utf8), to: "\(directory)/env")
        #expect(symlink("/etc/passwd", "\(directory)/outside") == 0)
        func value(_ path: String, _ key: String, optional: Bool = false, volume: String = "v") throws -> String? {
            let reference: Document = [
                "volumeName": Document(volume), "path": Document(path), "key": Document(key),
                "optional": Document(optional),
            ]
            let entry: Document = ["env": [["name": "X", "valueFrom": ["fileKeyRef": reference]]]]
            let fields = DownwardFields(
                pod: pod(), podIPs: [], hostIPs: [], allocatableCPUMillis: 1, allocatableMemory: 1)
            return try Environment.build(
                container: entry, pod: pod(), imageVariables: [], hostname: "h",
                sources: EnvironmentSources(volumes: ["v": directory]), fields: fields)["X"]
        }
        #expect(try value("env", "KEY") == "found")
        #expect(try value("env", "OTHER", optional: true) == nil)
        #expect(try value("missing", "KEY", optional: true) == nil)
        for (path, key, volume) in [
            ("env", "OTHER", "v"), ("missing", "KEY", "v"), ("outside", "KEY", "v"), ("env", "KEY", "w"),
        ] {
            #expect(throws: (any Error).self) { try value(path, key, volume: volume) }
        }
        #expect(throws: (any Error).self) { try value("../\(directory)/env", "KEY") }
    }
}
