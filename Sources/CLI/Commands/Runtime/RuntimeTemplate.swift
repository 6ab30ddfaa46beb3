import Cluster
import Document
import Glibc
import Linux
import Runtime

/// `spec`: a config.json to start from.
enum RuntimeTemplate {
    static func run(_ context: RuntimeProgram.Context) throws {
        let directory = RuntimeProgram.absolute(context.arguments["bundle"] ?? ".")
        let path = "\(directory)/config.json"
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard file >= 0 else {
            if errno == EEXIST { throw Failure("File config.json exists. Remove it first") }
            throw SystemError("create", path, errno: errno)
        }
        defer { close(file) }
        let document = ContainerTemplate.document(
            rootless: context.arguments.has("rootless") ? (geteuid(), getegid()) : nil)
        try Files.writeAll(Array((document.indented(by: "\t") + "\n").utf8), to: file, name: path)
    }
}
