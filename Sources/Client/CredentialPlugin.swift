import Basics
import Document

/// A program that a kubeconfig names (`exec`), which prints how its user proves who it is: the clouds' way.
///
/// The program is told what it has to answer by the environment variable `KUBERNETES_EXEC_INFO`, a document of the kind
/// `ExecCredential`, and answers with the same document and its `status` on its standard output.
public struct CredentialPlugin: Sendable, Equatable {
    static let versions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]

    public var words: [String]
    /// What is laid over this process's environment.
    public var environment: [String: String]
    public var apiVersion: String
    /// For whoever has not got the program.
    public var hint: String?

    /// What the program answered.
    public struct Answer: Sendable, Equatable {
        public var token: String?
        public var certificate: [UInt8]?
        public var key: [UInt8]?
        /// Good for as long as the process lives where nil.
        public var expires: Timestamp?
    }

    /// `file` makes a path that is not absolute one from the configuration's folder.
    init(_ exec: Document, cluster: Document, file: (String) -> String) throws {
        guard let command = exec.text("command"), !command.isEmpty else {
            throw KubeconfigError("exec has no command")
        }
        apiVersion = exec.text("apiVersion") ?? ""
        guard Self.versions.contains(apiVersion) else {
            throw KubeconfigError(
                "exec has the apiVersion '\(apiVersion)'; known are \(Self.versions.joined(separator: ", "))")
        }
        guard exec.text("interactiveMode") != "Always" else {
            throw KubeconfigError("the program '\(command)' wants to talk to somebody, and nobody is there")
        }
        // A bare name is looked up in the PATH.
        words = [command.contains("/") ? file(command) : command] + exec.list("args").compactMap(\.string)
        hint = exec.text("installHint")
        var variables: [String: String] = [:]
        for entry in exec.list("env") { variables[entry.text("name") ?? ""] = entry.text("value") ?? "" }
        variables[""] = nil
        variables["KUBERNETES_EXEC_INFO"] = Self.request(exec, apiVersion, cluster).jsonText
        environment = variables
    }

    private static func request(_ exec: Document, _ apiVersion: String, _ cluster: Document) -> Document {
        var spec: Document = ["interactive": false]
        if exec.flag("provideClusterInfo") ?? false {
            var shown: Document = .emptyObject
            for field in ["server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data"] {
                if let value = cluster[field] { shown[field] = value }
            }
            let own = cluster.list("extensions").first { $0.text("name") == "client.authentication.k8s.io/exec" }
            if let config = own?["extension"] { shown["config"] = config }
            spec["cluster"] = shown
        }
        return ["kind": "ExecCredential", "apiVersion": Document(apiVersion), "spec": spec]
    }

    /// Reads what the program printed.
    public func answer(_ output: String) throws -> Answer {
        guard let document = try? Document(json: Array(output.utf8)), document.text("kind") == "ExecCredential" else {
            throw KubeconfigError("the program '\(words[0])' printed no ExecCredential")
        }
        guard document.text("apiVersion") == apiVersion else {
            throw KubeconfigError(
                "the program '\(words[0])' answered in \(document.text("apiVersion") ?? "no version"), not \(apiVersion)"
            )
        }
        let status = document["status"] ?? .emptyObject
        let answer = Answer(
            token: status.text("token"), certificate: status.text("clientCertificateData").map { Array($0.utf8) },
            key: status.text("clientKeyData").map { Array($0.utf8) },
            expires: status.text("expirationTimestamp").flatMap { Timestamp(rfc3339: $0) })
        guard (answer.certificate == nil) == (answer.key == nil) else {
            throw KubeconfigError("the program '\(words[0])' gave a certificate or a key alone")
        }
        guard answer.token != nil || answer.certificate != nil else {
            throw KubeconfigError("the program '\(words[0])' gave neither a token nor a certificate")
        }
        return answer
    }
}
