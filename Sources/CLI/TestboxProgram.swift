import Testbox

/// The test image's program: the same binary, called as `testbox`.
enum TestboxProgram {
    static func run(_ words: [String]) -> Int32 { runTestbox(arguments: words) }
}
