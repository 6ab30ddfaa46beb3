/// The conformance suite as it was when this binary was built.
public enum SuiteFiles {
    /// Scenarios by their files' names, in order.
    public static var scenarios: [(name: String, bytes: [UInt8])] {
        EmbeddedSuite.files.filter { $0.name.description.hasSuffix(".yaml") }.map {
            ($0.name.description, bytes(of: $0.text))
        }
    }

    /// The list of behaviours, a line each.
    public static var behaviours: String {
        EmbeddedSuite.files.first { $0.name.description == "behaviours.txt" }.map { $0.text.description } ?? ""
    }

    private static func bytes(of text: StaticString) -> [UInt8] {
        text.withUTF8Buffer { Array($0) }
    }
}
