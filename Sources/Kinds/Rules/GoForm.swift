import Document

/// Shows a structure as a server in Go prints its internal form in error messages: every field under its Go name in
/// declaration order, zero values included, absent lists and pointers as null.
struct GoForm: Sendable {
    enum Kind: Sendable {
        /// A scalar or free value with what stands for its absence.
        case value(Document)
        case list(String)
        case structure(String)
        case pointer(String)
    }

    typealias Field = (json: String, go: String, kind: Kind)

    /// The fields of each structure by its name.
    let structures: [String: [Field]]

    func show(_ object: Document?, as name: String) -> Document {
        Document(members: (structures[name] ?? []).map { ($0.go, value(object?[$0.json], $0.kind)) })
    }

    private func value(_ given: Document?, _ kind: Kind) -> Document {
        switch kind {
        case .value(let zero): return given ?? zero
        case .list(let element):
            guard let given, given.isArray else { return .null }
            return Document(given.elements.map { show($0, as: element) })
        case .structure(let name): return show(given, as: name)
        case .pointer(let name):
            guard let given, given.isObject else { return .null }
            return show(given, as: name)
        }
    }
}
