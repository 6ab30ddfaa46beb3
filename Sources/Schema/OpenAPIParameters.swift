import Document

/// A parameter in the path or the query.
struct Parameter {
    var name: String
    var place = "query"
    var type = "string"
    var documentation: String

    static let name = Parameter(name: "name", place: "path", documentation: "Name of the object.")
    static let namespace = Parameter(name: "namespace", place: "path", documentation: "Namespace of the object.")
    static let pretty = Parameter(name: "pretty", documentation: "Indent the answer if true.")

    private static let dryRun = Parameter(
        name: "dryRun", documentation: "With All, do everything but store the result.")
    private static let fieldManager = Parameter(
        name: "fieldManager", documentation: "Who makes the change, for the record of field ownership.")
    private static let fieldValidation = Parameter(
        name: "fieldValidation",
        documentation: "What to do about unknown and repeated fields: Ignore, Warn (as if absent) or Strict.")
    private static let force = Parameter(
        name: "force", type: "boolean", documentation: "Take over fields that another manager owns.")

    static let lists = [
        Parameter(name: "allowWatchBookmarks", type: "boolean", documentation: "Mark the watch's progress."),
        Parameter(name: "continue", documentation: "Where the previous part of the list ended."),
        Parameter(name: "fieldSelector", documentation: "Only objects whose fields have these values."),
        Parameter(name: "labelSelector", documentation: "Only objects with these labels."),
        Parameter(name: "limit", type: "integer", documentation: "No more than this many objects at once."),
        Parameter(name: "resourceVersion", documentation: "The version from which to read."),
        Parameter(name: "resourceVersionMatch", documentation: "How resourceVersion is meant."),
        Parameter(
            name: "sendInitialEvents", type: "boolean", documentation: "Begin the watch with what exists."),
        Parameter(name: "shardSelector", documentation: "Only a part of the list."),
        Parameter(name: "timeoutSeconds", type: "integer", documentation: "How long to go on."),
        Parameter(name: "watch", type: "boolean", documentation: "Send changes as they happen."),
    ]

    private static let deletions = [
        dryRun,
        Parameter(name: "gracePeriodSeconds", type: "integer", documentation: "Time to finish before the end."),
        Parameter(
            name: "ignoreStoreReadErrorWithClusterBreakingPotential", type: "boolean",
            documentation: "Delete even what cannot be read."),
        Parameter(name: "orphanDependents", type: "boolean", documentation: "Leave dependents alone (old form)."),
        Parameter(name: "propagationPolicy", documentation: "What becomes of dependents."),
    ]

    static func query(of verb: String) -> [Parameter] {
        switch verb {
        case "list": lists
        case "create", "update": [dryRun, fieldManager, fieldValidation]
        case "patch": [dryRun, fieldManager, fieldValidation, force]
        case "delete": deletions
        case "deletecollection":
            (deletions + lists.filter { !["allowWatchBookmarks", "watch"].contains($0.name) }).sorted {
                $0.name < $1.name
            }
        default: []
        }
    }

    /// What a subresource that is no object takes, beside the object's name.
    static func options(of subresource: SubresourceInfo) -> [Parameter] {
        func flag(_ name: String, _ text: String) -> Parameter {
            Parameter(name: name, type: "boolean", documentation: text)
        }
        let container = Parameter(name: "container", documentation: "Name of the container.")
        let streams = [
            container, flag("stderr", "Whether standard error is wanted."),
            flag("stdin", "Whether standard input is given."), flag("stdout", "Whether standard output is wanted."),
            flag("tty", "Whether it is a terminal."),
        ]
        switch subresource.name {
        case "attach": return streams
        case "exec": return streams + [Parameter(name: "command", documentation: "Program and arguments.")]
        case "portforward":
            return [Parameter(name: "ports", type: "integer", documentation: "Numbers of the ports.")]
        case "proxy": return [Parameter(name: "path", documentation: "Path of the request.")]
        case "log":
            return [
                container, flag("follow", "Go on as the log grows."),
                flag("insecureSkipTLSVerifyBackend", "Trust any certificate of the node."),
                Parameter(name: "limitBytes", type: "integer", documentation: "Most bytes of the answer."), pretty,
                flag("previous", "The container before the last restart."),
                Parameter(name: "sinceSeconds", type: "integer", documentation: "Only lines of so many last seconds."),
                Parameter(name: "stream", documentation: "All, Stdout or Stderr."),
                Parameter(name: "tailLines", type: "integer", documentation: "Only so many last lines."),
                flag("timestamps", "Begin lines with their time."),
            ]
        default: return [pretty]
        }
    }

    // MARK: Parameters that version 2 declares once

    /// The names under which clients of version 2 know the parameters that many operations share.
    private static let shared = [
        "allowWatchBookmarks": "HC2hJt-J", "container": "1GeXxFDC", "continue": "QfD61s0i",
        "fieldManager": "Qy4HdaTW", "fieldSelector": "xIcQKXFG", "follow": "9OIXh_2R", "force": "tOGGb0Yi",
        "gracePeriodSeconds": "-K5HaBOS", "ignoreStoreReadErrorWithClusterBreakingPotential": "QbNkfIqj",
        "insecureSkipTLSVerifyBackend": "gM00jVbe", "labelSelector": "5Zw57w4C", "limit": "1NfNmdNH",
        "limitBytes": "zwd1RXuc", "namespace": "vgWSWtn3", "orphanDependents": "uRB25kX5", "pretty": "tJGM1-ng",
        "previous": "1jxDPu3y", "propagationPolicy": "6jk3prlO", "resourceVersion": "5WAnf1kx",
        "resourceVersionMatch": "t8XhRHeC", "sendInitialEvents": "rLXlEK_k", "shardSelector": "Kgyki_3_",
        "sinceSeconds": "vE2NLdnP", "stream": "l-48cgXv", "tailLines": "9xQLWHMV", "timeoutSeconds": "yvYezaOC",
        "timestamps": "c17fW1w_", "watch": "XNNPZGbK",
    ]
    private static let patchFieldManager = "fieldManager-7c6nTn1T"

    static func sharedBody(_ verb: String) -> String? {
        switch verb {
        case "delete", "deletecollection": "body-2Y1dVQaQ"
        case "patch": "body-78PwaGsr"
        default: nil
        }
    }

    static func reference(_ name: String) -> Document { ["$ref": Document("#/parameters/\(name)")] }

    /// The declarations themselves.
    static var declarations: Document {
        var all: [(String, Document)] = []
        let log = SubresourceInfo(name: "log", verbs: [], group: "", version: "", kind: "", type: nil)
        for parameter in lists + deletions + options(of: log) + [namespace, force, fieldManager] {
            guard let suffix = shared[parameter.name] else { continue }
            all.append(("\(parameter.name)-\(suffix)", parameter.plain(.two)))
        }
        all.append((patchFieldManager, fieldManager.plain(.two)))
        for (verb, type) in [("delete", "DeleteOptions"), ("patch", "Patch")] {
            var body: Document = [
                "in": "body", "name": "body",
                "schema": OpenAPIForm.two.reference(OpenAPISchemas.metaPackage + type),
            ]
            if verb == "patch" { body["required"] = true }
            all.append((sharedBody(verb) ?? "", body))
        }
        var seen: Set<String> = []
        return Document(members: all.sorted { $0.0 < $1.0 }.filter { seen.insert($0.0).inserted })
    }

    func document(_ form: OpenAPIForm, verb: String = "") -> Document {
        guard form == .two, name != "name", let suffix = Self.shared[name] else { return plain(form) }
        if verb == "patch", name == "fieldManager" { return Self.reference(Self.patchFieldManager) }
        return Self.reference("\(name)-\(suffix)")
    }

    private func plain(_ form: OpenAPIForm) -> Document {
        var document: Document = [
            "in": Document(place), "name": Document(name), "description": Document(documentation),
        ]
        if place == "path" { document["required"] = true }
        if form == .two {
            document["type"] = Document(type)
            document["uniqueItems"] = true
        } else {
            document["schema"] = ["type": Document(type), "uniqueItems": true]
        }
        return document
    }
}
