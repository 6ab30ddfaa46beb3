/// One API group version as text: the only place where its kinds and types are declared.
///
/// # The language
///
/// Lines; indentation (any amount) makes a line belong to the last unindented one; `#` starts a comment line.
/// Words are separated by blanks. A text in double quotes at the end of a line is its documentation.
///
/// ```
/// kind Deployment deployments deployment namespaced generation short=deploy categories=all
///   /status get,patch,update
///   /scale get,patch,update autoscaling/v1:Scale
///   column Ready string                         "Ready and wanted pods."
///   column Selector string priority=1           "Which pods it owns."
///
/// type Deployment object                        "Keeps a number of pods running."
///   spec       DeploymentSpec                   "What is wanted."
///
/// type DeploymentSpec                           "What a deployment wants."
///   replicas   int32? = 1 min=0                 "How many pods."
///   selector   LabelSelector? required nonempty immutable "Which pods are its own."
///   template   core/v1:PodTemplateSpec required "The pods to make."
/// ```
///
/// A **kind** line has the kind, its plural and singular resource names, `namespaced` or `cluster`, and then any of
/// `generation` (metadata.generation counts changes of the spec), `short=a,b`, `categories=a,b`,
/// `verbs=a,b` (all eight when absent). Below it stand `/name verbs [body]`, a subresource whose body is the kind
/// itself unless another is named, and `column`s: name (in quotes when it has blanks), type, then `format=x`,
/// `priority=n`. The kind's body is the type of the same name. A kind that can be listed gets its list type unasked.
///
/// A **type** line has the name, then `object` (it has apiVersion, kind and metadata), `needsMetadata` (OpenAPI lists
/// the metadata as required), `atomic` (apply replaces it as a whole), `order(a,b)` (how OpenAPI orders the required
/// fields) and `union(discriminator:field=Value,…)`.
///
/// A **field** line has the name, the type and attributes. Types: `string bool int32 int64 double bytes quantity
/// intOrString time microTime`, `raw` (an embedded object), `any` (any JSON), `fieldSet`, `patch`; a declared type;
/// `[T]` a list; `{T}` a map from strings. `GROUP/VERSION:Name` names a type of another group (`core` is the unnamed
/// group); the types of `meta/v1` need no prefix.
///
/// `T?` can be absent, and then differs from its zero. `T` without the mark is always there in memory: an absent
/// structure appears as `{}`, an absent time as null, and a scalar that is zero is left out unless it is `required`.
///
/// | attribute | meaning |
/// |---|---|
/// | `required` | always written; OpenAPI lists it as required |
/// | `always` | always written, although OpenAPI does not list it as required; with `T?` as null when absent |
/// | `nonempty` | absent, zero or empty is an error |
/// | `immutable` | cannot change once the object exists |
/// | `unique` | no element of the list, or no key of an element, may occur twice |
/// | `= VALUE` | default, as JSON; a bare word is a string |
/// | `default=VALUE` | default that OpenAPI shows too |
/// | `enum(A,B)` | the values that it may have |
/// | `values(A,B)` | the same, told by OpenAPI but left to the kind's rules to check; of a list, those of its elements |
/// | `min=N` `max=N` | range of a number |
/// | `as=NAME` | the type of this package that OpenAPI names in place of `any` |
/// | `format=NAME` | a syntax of `Formats` |
/// | `atomic` `set` `map(a,b)` | how a list is owned and merged by apply; `map` names the keys of an element |
/// | `granular` | a map whose members are owned one by one although it is documented otherwise |
/// | `merge` `merge(key)` | strategic merge patch merges the list (by that key) instead of replacing it |
/// | `key(key)` | names the key without merging |
/// | `replace` | strategic merge patch replaces the structure as a whole |
/// | `retainKeys` | strategic merge patch drops the members that the patch does not keep |
public struct GroupText: Sendable {
    public let group: String
    public let version: String
    /// Prefix of the types' names in OpenAPI, such as `io.k8s.api.apps.v1`.
    public let package: String
    /// Whether clients find it among the server's groups. Others hold types that only travel: options, events.
    public let isServed: Bool
    /// The text, in as many pieces as is good to read.
    public let texts: [StaticString]

    public init(group: String, version: String, package: String, isServed: Bool = true, texts: StaticString...) {
        self.group = group
        self.version = version
        self.package = package
        self.isServed = isServed
        self.texts = texts
    }

    /// How references name it: `core/v1`, `apps/v1`.
    var key: String { (group.isEmpty ? "core" : group) + "/" + version }
}
