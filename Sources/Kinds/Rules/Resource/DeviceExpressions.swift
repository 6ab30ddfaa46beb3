import Document
import Schema

/// The expressions that choose devices: what they see, and what they may come to and cost.
public enum DeviceExpressions {
    static let lengthLimit = 10 * 1024
    /// What the evaluation for one device may cost at worst.
    static let costLimit: UInt64 = 1_000_000

    static func check(_ expression: String, _ path: String) -> [FieldError] {
        if expression.utf8.count > lengthLimit { return [.tooLong(path, limit: lengthLimit)] }
        let program: CEL.Program
        do throws(CEL.CompileError) {
            program = try environment.compile(expression)
        } catch {
            return [.invalid(path, Document(expression), "compilation failed: \(error)")]
        }
        guard program.resultType == .bool || program.resultType == .dyn else {
            return [
                .invalid(
                    path, Document(expression),
                    "must evaluate to bool or the unknown type, not \(program.resultType.resultName)")
            ]
        }
        return program.estimatedCost.max > costLimit
            ? [.forbidden(path, "too complex, exceeds cost limit")] : []
    }

    /// `device`: its driver, and its attributes and capacities by domain and name.
    public static let environment: CEL.Environment = {
        func byDomain(_ value: CEL.DeclaredType) -> CEL.DeclaredType {
            CEL.DeclaredType(
                mapOf: CEL.DeclaredType(mapOf: value, maxElements: mostNames), maxElements: mostNames)
        }
        let fields: [(String, CEL.DeclaredType)] = [
            ("driver", CEL.DeclaredType(.string, maxElements: 63)), ("attributes", byDomain(.anything)),
            ("capacity", byDomain(CEL.DeclaredType(.opaque("kubernetes.Quantity")))),
            ("allowMultipleAllocations", CEL.DeclaredType(.bool)),
        ]
        let device = CEL.DeclaredType(
            object: "kubernetes.DRADevice",
            fields: Dictionary(uniqueKeysWithValues: fields.map { ($0.0, .init(member: $0.0, type: $0.1)) }))
        return CEL.Environment(library: CEL.Library.kubernetes.union(.bindings)).declaring("device", device)
    }()

    /// Attributes and capacities of one device together.
    private static let mostNames = 32
}
