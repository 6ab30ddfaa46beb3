import Document
import Kinds
import Schema

/// What a write is about, as admission sees it.
struct AdmissionContext: Sendable {
    enum Operation: String, Sendable {
        case create = "CREATE", update = "UPDATE", delete = "DELETE", connect = "CONNECT"
    }

    /// A kind with its group and version.
    struct KindName: Sendable, Hashable {
        var group: String
        var version: String
        var kind: String
    }

    var operation: Operation
    var resource: ResourceInfo
    var subresource: String
    var namespace: String
    var name: String
    var user: UserInfo
    var old: Document?
    var dryRun: Bool
    var warnings: Warnings
    /// The kind of the object: the subresource's own where it has one.
    var kind: KindName
    /// Makes the options of the request, such as `CreateOptions`, with their kind.
    var options: @Sendable () -> Document = { .null }
    /// A write of the server itself, which asks nobody outside.
    var isInternal = false
    /// How the plug-ins that change the object come to a second round.
    var reinvocation: Reinvocation?

    /// Whether it is about objects of this resource themselves.
    func isOn(_ qualifiedName: String) -> Bool { subresource.isEmpty && resource.qualifiedName == qualifiedName }

    func refuse(_ why: String) -> APIStatus { .forbidden(resource, name, why) }
}

/// One concern of admission. `mutate` may complete the object before it is validated,
/// `validate` may refuse it afterwards. Plug-ins run in the order of the server's list.
protocol AdmissionPlugin: Sendable {
    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws
    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws
}

extension AdmissionPlugin {
    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {}
    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {}
}

/// Plug-ins know the sums over a pod by this name.
typealias PodResources = ResourceAmounts
