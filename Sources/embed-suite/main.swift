import Glibc

// embed-suite DIRECTORY OUTPUT: writes the directory's scenarios, and the list of behaviours, as one Swift source file.

func fail(_ message: String) -> Never {
    perror("embed-suite: \(message)")
    exit(1)
}

func read(_ path: String) -> String {
    guard let file = fopen(path, "r") else { fail("cannot open \(path)") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&buffer, 1, buffer.count, file)
        if count == 0 { break }
        bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
}

func names(in directory: String) -> [String] {
    guard let handle = opendir(directory) else { fail("cannot read \(directory)") }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name.hasSuffix(".yaml") || name == "behaviours.txt", !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
}

guard CommandLine.arguments.count == 3 else { fail("usage: embed-suite DIRECTORY OUTPUT") }
let (directory, output) = (CommandLine.arguments[1], CommandLine.arguments[2])

// Raw literals: nothing in them means anything but itself, as long as no text has the delimiter.
let quotes = "###\"\"\"", end = "\"\"\"###"
var source = "enum EmbeddedSuite {\n    static let files: [(name: StaticString, text: StaticString)] = [\n"
for name in names(in: directory) {
    let text = read("\(directory)/\(name)")
    if text.contains(end) || text.contains("###(") || text.contains("\r") || text.contains("\\###") {
        fail("\(name) cannot be embedded")
    }
    source += "        (\"\(name)\", \(quotes)\n\(text)\n\(end)),\n"
}
source += "    ]\n}\n"

guard let file = fopen(output, "w") else { fail("cannot write \(output)") }
guard fputs(source, file) >= 0, fclose(file) == 0 else { fail("cannot write \(output)") }
