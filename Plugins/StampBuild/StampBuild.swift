import Foundation
import PackagePlugin

/// Has the commit that is built written into the program, as git tells it; where it tells nothing, so it says.
@main struct StampBuild: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let output = context.pluginWorkDirectoryURL.appending(path: "BuildStamp.swift")
        let folder = context.package.directoryURL.path()
        let commit = Self.git(folder, "log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%H %cd")
        let words = (commit ?? "").split(separator: " ").map(String.init)
        var origin = ["unknown", "1970-01-01T00:00:00Z", "unknown"]
        if words.count == 2, let changes = Self.git(folder, "status", "--porcelain", "--untracked-files=no") {
            origin = words + [changes.isEmpty ? "clean" : "dirty"]
        }
        return [
            .buildCommand(
                displayName: "Stamping the build", executable: try context.tool(named: "stamp-build").url,
                // It runs again when one of these changes.
                arguments: [output.path()] + origin, inputFiles: [], outputFiles: [output])
        ]
    }

    /// What git prints, without the newline at its end; nil where it fails, or is not there.
    private static func git(_ folder: String, _ words: String...) -> String? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["TZ=UTC", "git", "-C", folder] + words
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .newlines)
    }
}
