import Glibc
import Linux

/// A directory whose files change all at once, as Kubernetes's API volumes do:
///
///     ..2026_01_02.1   one generation of the files
///     ..data           → ..2026_01_02.1, replaced by rename
///     key              → ..data/key
///
/// Whoever reads through `..data` sees one generation or the other.
struct AtomicDirectory {
    struct File: Sendable, Equatable {
        var bytes: [UInt8]
        var mode: mode_t
        var owner: UInt32?
        var group: UInt32?
    }

    let path: String

    /// Returns false when the directory holds exactly these files already. `generation` names the new one.
    func write(_ files: [String: File], generation: String) throws -> Bool {
        try Files.makeDirectories(path)
        chmod(path, 0o777)
        let current = Self.link("\(path)/..data")
        if let current, try holds(files, in: "\(path)/\(current)") { return false }
        var directory = "..\(generation)"
        var count = 0
        while Files.exists("\(path)/\(directory)") {
            count += 1
            directory = "..\(generation).\(count)"
        }
        try writeGeneration(files, "\(path)/\(directory)")
        let temporary = "\(path)/..data_tmp"
        unlink(temporary)
        guard symlink(directory, temporary) == 0 else { throw SystemError("symlink", temporary, errno: errno) }
        guard rename(temporary, "\(path)/..data") == 0 else { throw SystemError("rename", temporary, errno: errno) }
        try updateLinks(Set(files.keys.map { String($0.prefix { $0 != "/" }) }))
        if let current { try Files.removeTree("\(path)/\(current)") }
        return true
    }

    private func holds(_ files: [String: File], in directory: String) throws -> Bool {
        var found: Set<String> = []
        func visit(_ prefix: String) throws {
            for name in try Files.list(prefix.isEmpty ? directory : "\(directory)/\(prefix)") {
                let relative = prefix.isEmpty ? name : "\(prefix)/\(name)"
                var status = stat()
                guard lstat("\(directory)/\(relative)", &status) == 0 else { continue }
                if status.st_mode & S_IFMT == S_IFDIR { try visit(relative) } else { found.insert(relative) }
            }
        }
        guard Files.exists(directory) else { return false }
        try visit("")
        guard found == Set(files.keys) else { return false }
        return try files.allSatisfy { try Files.read("\(directory)/\($0.key)") == $0.value.bytes }
    }

    private func writeGeneration(_ files: [String: File], _ directory: String) throws {
        try Files.makeDirectories(directory)
        chmod(directory, 0o755)
        for (name, file) in files {
            let target = "\(directory)/\(name)"
            if let slash = target.lastIndex(of: "/") { try Files.makeDirectories(String(target[..<slash])) }
            try PlainFile.write(file.bytes, to: target, mode: file.mode)
            if file.owner != nil || file.group != nil {
                // All ones leave the respective id as it is.
                guard chown(target, file.owner ?? .max, file.group ?? .max) == 0 else {
                    throw SystemError("chown", target, errno: errno)
                }
                chmod(target, file.mode)
            }
        }
    }

    private func updateLinks(_ names: Set<String>) throws {
        for old in try Files.list(path) where !old.hasPrefix("..") && !names.contains(old) {
            try Files.removeTree("\(path)/\(old)")
        }
        for name in names where Self.link("\(path)/\(name)") == nil {
            guard symlink("..data/\(name)", "\(path)/\(name)") == 0 else {
                throw SystemError("symlink", "\(path)/\(name)", errno: errno)
            }
        }
    }

    static func link(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes -> Int in
            guard let base = bytes.baseAddress else { return -1 }
            return readlink(path, base.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}
