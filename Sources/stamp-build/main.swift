import Glibc

// stamp-build OUTPUT COMMIT DATE STATE: writes where a build comes from as a Swift source file.

func fail(_ message: String) -> Never {
    perror("stamp-build: \(message)")
    exit(1)
}

let words = Array(CommandLine.arguments.dropFirst())
guard words.count == 4 else { fail("usage: stamp-build OUTPUT COMMIT DATE STATE") }
let isPlain = words.dropFirst().allSatisfy { word in
    word.utf8.allSatisfy { (48...58).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45 }
}
guard isPlain else { fail("what git says is no commit, date and state: \(words.dropFirst())") }
let source = """
    import Kinds

    enum BuildStamp {
        static let origin = BuildOrigin(commit: "\(words[1])", date: "\(words[2])", treeState: "\(words[3])")
    }

    """
guard let file = fopen(words[0], "w") else { fail("cannot write \(words[0])") }
guard fputs(source, file) >= 0, fclose(file) == 0 else { fail("cannot write \(words[0])") }
