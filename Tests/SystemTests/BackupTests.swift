import Client
import Document
import Glibc
import Kinds
import Linux
import Testing

/// `lab backup`: the copy of a running server is a server's data.
@Suite(.enabled(if: Machine.binary != nil, "\(ServerProcess.why)"))
struct BackupTests {
    private func lab(_ words: String...) -> Ran { Shell.run([Machine.binary ?? "lab"] + words) }

    @Test func aServerStartsFromTheCopyOfARunningOne() async throws {
        let server = ServerProcess("backup")
        defer { server.remove() }
        try server.start()
        let copy = "\(server.directory)/copy"
        let access = try server.access
        let data = server.data
        // One writer whose objects come in order, before, during and after the copy.
        let before = try await EventLoop.runOnThread { loop in
            let client = try RawClient(access, world: .live(loop)).api
            for number in 0..<50 { _ = try await client.create(.configMaps, Self.object(number)) }
            let command = Command([Machine.binary ?? "lab", "backup", "--data", data, copy])
            for number in 50..<150 { _ = try await client.create(.configMaps, Self.object(number)) }
            let ran = command.wait()
            #expect(ran.code == 0, "\(ran)")
            #expect(ran.out.contains("lab apiserver --data \(copy)"))
            return try await client.get(.configMaps, namespace: "default", name: Self.name(0))
        }
        let again = lab("backup", "--data", data, copy)
        #expect(again.code == 1 && again.err.contains("\(copy) exists already"), "\(again)")
        let second = lab("apiserver", "--data", data, "--port", "0", "--kubeconfig", "\(server.directory)/second")
        #expect(second.code == 1 && second.err.contains("another server works in \(data)"), "\(second)")

        server.stop()
        try server.start(data: copy)
        let restored = try server.access
        #expect(restored.authority == access.authority, "kubeconfigs stay good")
        try await EventLoop.runOnThread { loop in
            let client = try RawClient(restored, world: .live(loop)).api
            let list = try await client.list(.configMaps, namespace: "default")
            let numbers = list.list("items").compactMap {
                $0.number("data", "number") ?? $0.text("data", "number").flatMap { Int($0) }
            }
            // The objects of one moment: no gap, and none missing from before the copy began.
            #expect(numbers.sorted() == Array(0..<numbers.count))
            #expect(numbers.count >= 50)
            #expect(try await client.get(.configMaps, namespace: "default", name: Self.name(0)) == before)
            let newest = Int(list.text("metadata", "resourceVersion") ?? "") ?? .max
            let made = try await client.create(.configMaps, Self.object(1_000))
            #expect(Int(made.text("metadata", "resourceVersion") ?? "") ?? 0 > newest)
        }
    }

    @Test func whatIsNoDataDirectoryIsNamed() {
        let ran = lab("backup", "--data", "/nonexistent", "/tmp/lab-no-copy")
        #expect(ran.code == 1 && ran.err.contains("/nonexistent holds no objects"), "\(ran)")
        #expect(access("/tmp/lab-no-copy", F_OK) != 0)
        #expect(lab("backup", "/tmp/lab-no-copy").code == 2)
    }

    private static func name(_ number: Int) -> String { "object-\(number)" }

    private static func object(_ number: Int) -> Document {
        [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": ["name": Document(name(number)), "namespace": "default"],
            "data": ["number": Document("\(number)")],
        ]
    }
}
