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
    /// Who owns the directories beside the root: the group that the pod's volumes belong to.
    var group: UInt32?

    /// Returns false when the directory holds exactly these files already. `generation` names the new one.
    func write(_ files: [String: File], generation: String) throws -> Bool {
        try Files.makeDirectories(path)
        try setAccess(of: path, mode: 0o777)
        let current = Self.link("\(path)/..data")
        let names = Set(files.keys.map { String($0.prefix { $0 != "/" }) })
        if let current, try holds(files, in: "\(path)/\(current)") {
            // Whoever wrote them may have been stopped before it came to the rest.
            try updateLinks(names)
            try removeGenerations(but: current)
            return false
        }
        // What an earlier try left behind takes room that this one may need.
        try removeGenerations(but: current)
        var directory = "..\(generation)"
        var count = 0
        while Files.exists("\(path)/\(directory)") {
            count += 1
            directory = "..\(generation).\(count)"
        }
        do {
            try writeGeneration(files, "\(path)/\(directory)")
            try pointTo(directory)
        } catch {
            // The old files stay as they are: nobody shall find half of the new ones, nor room that is lost to them.
            try? Files.removeTree("\(path)/\(directory)")
            throw error
        }
        try updateLinks(names)
        try removeGenerations(but: directory)
        return true
    }

    private func pointTo(_ directory: String) throws {
        let temporary = "\(path)/..data_tmp"
        unlink(temporary)
        guard symlink(directory, temporary) == 0 else { throw SystemError("symlink", temporary, errno: errno) }
        guard rename(temporary, "\(path)/..data") == 0 else { throw SystemError("rename", temporary, errno: errno) }
    }

    private func removeGenerations(but current: String?) throws {
        for name in try Files.list(path) where name.hasPrefix("..") && name != "..data" && name != current {
            try Files.removeTree("\(path)/\(name)")
        }
    }

    /// A directory that everybody may look into; the group's own members find their group on what lies in it.
    private func setAccess(of directory: String, mode: mode_t) throws {
        var wanted = mode
        if let group {
            guard chown(directory, .max, group) == 0 else { throw SystemError("chown", directory, errno: errno) }
            wanted |= 0o2550
        }
        guard chmod(directory, wanted) == 0 else { throw SystemError("chmod", directory, errno: errno) }
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
        try setAccess(of: directory, mode: 0o755)
        for (name, file) in files {
            var parent = directory
            for step in name.split(separator: "/").dropLast() {
                parent += "/\(step)"
                if Files.exists(parent) { continue }
                try Files.makeDirectories(parent)
                try setAccess(of: parent, mode: 0o755)
            }
            let target = "\(directory)/\(name)"
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
