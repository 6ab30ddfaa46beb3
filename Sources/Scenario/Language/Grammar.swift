/// The language's fields, each once: readers may ask for nothing that does not stand here, and the JSON schema for
/// editors and the reference page are printed from it.
struct Grammar: Sendable {
    /// An object of a scenario file.
    struct Shape: Sendable {
        var name: String
        var about: String
        var fields: [Field]
        /// Exactly one of these must be there.
        var oneOf: [String] = []
        /// Other fields are allowed, and are of this type: their names are the author's.
        var others: Kind?

        init(_ name: String, _ about: String, oneOf: [String] = [], others: Kind? = nil, _ fields: [Field] = []) {
            self.name = name
            self.about = about
            self.fields = fields
            self.oneOf = oneOf
            self.others = others
        }
    }

    struct Field: Sendable {
        var name: String
        var kind: Kind
        var isRequired: Bool
        var about: String

        init(_ name: String, _ kind: Kind, required: Bool = false, _ about: String) {
            self.name = name
            self.kind = kind
            isRequired = required
            self.about = about
        }
    }

    indirect enum Kind: Sendable {
        case text
        /// One of these.
        case word([String])
        /// One of these, or a variable that has one.
        case wordOrVariable([String])
        /// One text, or a list of them.
        case texts
        case flag
        case number
        /// `500ms`, `5s`, `2m`.
        case duration
        /// A number, or `{atLeast, atMost}`.
        case bound
        /// The same, with fractions.
        case measure
        /// A Kubernetes object, or a list of them.
        case objects
        /// What an object must be like.
        case match
        case anything
        case shape(String)
        case list(String)
        /// One of several shapes, told apart by what only they have.
        case choice([String])
    }

    static let shapes: [Shape] = top + actions + claims

    static func shape(_ name: String) -> Shape? { shapes.first { $0.name == name } }

    /// A whole file, and what its parts are made of.
    private static let top: [Shape] = [
        Shape(
            "scenario", "A scenario: steps against a cluster, and expectations about what becomes of them.",
            [
                Field("name", .text, required: true, "What a report calls it."),
                Field("description", .text, "What it shows, in a sentence or two."),
                Field("tags", .texts, "For `--tags`. `serial`: it stands no other scenario beside it."),
                Field("behaviours", .texts, "The lines of `behaviours.txt` that it holds."),
                Field(
                    "requires", .texts,
                    "What the cluster or this machine must have, or else the scenario is skipped with the reason: `nodes>=N`, `cluster-of-lab`, `root`, `scripts`, `kubectl`, `program:NAME`, `kind:GROUP/VERSION/KIND`."
                ),
                Field("timeout", .duration, "For all steps together; 2m where not given."),
                Field("variables", .shape("variables"), "Texts for `${NAME}`; each may use those above it."),
                Field("cases", .list("case"), "The scenario is run once for each, as a result of its own."),
                Field("steps", .list("step"), required: true, "What is done, one after the other."),
                Field(
                    "cleanup", .list("step"),
                    "Done after the steps in any case, each of them whatever became of the others; what fails here fails the scenario."
                ),
            ]),
        Shape("variables", "Names and their values.", others: .text),
        Shape("case", "A name, and variables of this case.", others: .text, [Field("name", .text, required: true, "")]),
        Shape(
            "step", "One action, and what may stand beside it.", oneOf: actionNames,
            actionFields + [
                Field("name", .text, "What a report calls the step."),
                Field("as", .shape("actor"), "On whose behalf; the kubeconfig's own user where not given."),
                Field("fails", .shape("refusal"), "The refusal that the action must meet."),
                Field("save", .shape("saves"), "Variables that take their values from the step's result."),
                Field("timeout", .duration, "For this step alone, with all its rounds."),
                Field(
                    "each", .anything,
                    "The step is done once for each: `{NAME: [a, b]}`, `{NAME: 3}` (1, 2, 3), or a list of objects, whose fields are variables."
                ),
            ]),
        Shape(
            "actor", "Who acts.", oneOf: ["user", "serviceAccount"],
            [
                Field("user", .text, "A user, impersonated."), Field("groups", .texts, "The user's groups."),
                Field(
                    "serviceAccount", .text, "A service account of the scenario's namespace, with a token of its own."),
            ]),
        Shape(
            "refusal", "What the server's refusal must be like; at least one field.",
            [
                Field("code", .number, "The HTTP status."), Field("reason", .text, "Such as `Forbidden`."),
                Field("message", .text, "A pattern for the whole message."),
            ]),
        Shape("saves", "Variables and the JSONPath of each in the step's result.", others: .text),
        Shape("distinct", "Names or paths, and how many different values each must have.", others: .bound),
    ]

    static let actionFields: [Field] = [
        Field("apply", .objects, "Creates objects, or merges them into those that exist."),
        Field("create", .objects, "Creates objects."),
        Field("patch", .shape("patch"), "Changes one object."),
        Field("delete", .shape("deletion"), "Deletes one object, or all that match."),
        Field("request", .shape("request"), "Any HTTP request to the API server, and claims about its answer."),
        Field("exec", .shape("exec"), "Runs a program in a container and waits for its end."),
        Field(
            "script", .text,
            "A shell script on this machine, with `NAMESPACE`, `IMAGE`, the scenario's variables and `KUBECONFIG` in its environment."
        ),
        Field("wait", .duration, "Waits."),
        Field("steps", .list("step"), "Several steps as one: for `each`."),
        Field("eventually", .choice(claimShapes), "Becomes true within the time (`within`, 30s)."),
        Field("always", .choice(claimShapes), "Is true all the time (`for`, 3s)."),
        Field("never", .choice(claimShapes), "Is not true at any time (`for`, 3s)."),
        Field("fault", .shape("fault"), "Puts a fault into the cluster, or takes it away. All end with the scenario."),
        Field("snapshot", .text, "Copies the whole cluster under this name, for `restore`. It goes with the scenario."),
        Field("restore", .text, "Puts the cluster back to where it was at that snapshot."),
        Field("node", .shape("node"), "Stops, starts, adds or removes a node."),
    ]

    static let actionNames = actionFields.map(\.name)
    private static let claimShapes = claims.map(\.name).filter { $0.hasSuffix("Claim") }
}
