import Foundation
import PackagePlugin

/// Has the files of `Conformance/` written into a source file of the module `SuiteFiles`, whenever one of them changes.
@main struct EmbedSuite: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let folder = context.package.directoryURL.appending(path: "Conformance")
        let output = context.pluginWorkDirectoryURL.appending(path: "EmbeddedSuite.swift")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path())
        let inputs = names.filter { $0.hasSuffix(".yaml") || $0 == "behaviours.txt" }.sorted()
        return [
            .buildCommand(
                displayName: "Embedding the conformance suite", executable: try context.tool(named: "embed-suite").url,
                arguments: [folder.path(), output.path()],
                // The folder itself too: a file that goes away changes nothing else.
                inputFiles: inputs.map { folder.appending(path: $0) } + [folder], outputFiles: [output])
        ]
    }
}
