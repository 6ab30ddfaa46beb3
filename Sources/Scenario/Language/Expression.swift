import Document
import Schema

/// A claim in the Common Expression Language, as Kubernetes' own validation rules are written.
struct Expression: Sendable {
    /// What the expression is about; it stands there under this name.
    enum Subject: String, Sendable { case object, objects, answer }

    var subject: Subject
    var source: String

    /// What a claim of a scenario may cost: lists of a cluster's objects are longer than what a rule looks at.
    private static let costLimit = CEL.totalCostLimit

    private func compile() throws(CEL.CompileError) -> CEL.Program {
        var environment = CEL.Environment(library: .all)
        environment.declare(subject.rawValue, subject == .objects ? .list(.dyn) : .dyn)
        return try environment.compile(source)
    }

    /// Why it is no expression; nil where it is one.
    var problem: String? {
        do throws(CEL.CompileError) {
            let program = try compile()
            switch program.resultType {
            case .bool, .dyn: return nil
            default: return "\"\(source)\" is \(program.resultType.resultName), and must be true or false"
            }
        } catch {
            return "no CEL expression: \(error)"
        }
    }

    /// What is wrong with `value` by this expression.
    func problems(of value: Document) -> [String] {
        do {
            let program = try compile()
            var bindings = CEL.Bindings()
            bindings[subject.rawValue] = CEL.Value(value)
            let result = try program.evaluate(bindings, costLimit: Self.costLimit).get()
            return result.bool == true ? [] : ["\"\(source)\" is \(result.document?.jsonText ?? "not true")"]
        } catch {
            return ["\"\(source)\" has no value: \(error)"]
        }
    }
}
