import Document
import Glibc

/// What `lab image make` assembles, as a file says it:
///
///     apiVersion: lab.dev/v1
///     kind: Image
///     name: lab.local/redis:7
///     from: lab.local/base:1                  # an image to build on, which the store must have
///     packages: [redis-server]                # Debian packages, with what they depend on
///     without: ["perl*", debconf]             # dependencies to leave out
///     users: [{name: redis, uid: 100, home: /var/lib/redis}]
///     files:
///     - {path: /etc/motd, text: "hello\n", mode: "0644", owner: "0:0"}
///     - {path: /app, source: ./dist}          # a file or directory, relative to this file
///     - {path: /bin/sh, link: busybox}
///     - {path: /bin, to: busybox, links: [ls, cat]}
///     - {path: /data, directory: true, owner: "100:100"}
///     config: {entrypoint: [...], cmd: [...], env: {A: b}, workingDir: /, user: redis, ports: ["6379"],
///              volumes: [/data], labels: {a: b}, stopSignal: SIGTERM}
///
/// What is not known here is refused with its line and column.
public struct ImageDefinition: Sendable {
    struct User: Sendable {
        var name: String
        var uid: Int
        var gid: Int
        var home = "/nonexistent"
        var shell = "/usr/sbin/nologin"
    }

    struct File: Sendable {
        enum Content: Sendable {
            case text(String)
            case source(String)
            case link(String)
            case links(to: String, names: [String])
            case directory
        }

        var path: String
        var content: Content
        /// Nil: the source's, else the kind's usual one.
        var mode: mode_t?
        var owner: uid_t = 0
        var group: gid_t = 0
    }

    var name: String
    var base: String?
    var packages: [String] = []
    /// Patterns as the shell has them.
    var without: [String] = []
    var users: [User] = []
    var files: [File] = []
    /// In the form of an image's configuration.
    var config = Document.emptyObject

    public init(yaml bytes: [UInt8], file: String) throws(ImageError) {
        let document: Document
        let positions: YAMLPositions
        do { (document, positions) = try Document.yamlWithPositions(bytes) } catch {
            throw ImageError(file, "\(error)")
        }
        let reader = Reader(file: file, positions: positions)
        name = ""
        for member in document.members {
            let value = member.value
            switch member.key {
            case "apiVersion":
                guard value.string == "lab.dev/v1" else { throw reader.fail("apiVersion", "use 'lab.dev/v1'") }
            case "kind": guard value.string == "Image" else { throw reader.fail("kind", "use 'Image'") }
            case "name":
                do { name = try Reference(value.string ?? "").description } catch {
                    throw reader.fail("name", error.description)
                }
            case "from": base = try reader.text(value, "from")
            case "packages": packages = try reader.texts(value, "packages").sorted()
            case "without": without = try reader.texts(value, "without")
            case "users": users = try Self.list(value, "users", reader, Self.user)
            case "files": files = try Self.list(value, "files", reader, Self.file)
            case "config": config = try Self.config(value, reader)
            default:
                throw reader.fail(
                    member.key,
                    "unknown field '\(member.key)'; known are apiVersion, kind, name, from, packages, without, users, "
                        + "files, config")
            }
        }
        guard !name.isEmpty else { throw ImageError(file, "the image has no 'name'") }
        for package in packages where !Self.isPackage(package) {
            throw reader.fail("packages", "'\(package)' is no package's name")
        }
    }

    /// Also keeps what looks like an option away from apt's command line.
    private static func isPackage(_ name: String) -> Bool {
        guard let first = name.utf8.first, (48...57).contains(first) || (97...122).contains(first) else { return false }
        return name.utf8.allSatisfy {
            (48...57).contains($0) || (97...122).contains($0) || [43, 45, 46, 58, 61, 126].contains($0)
        }
    }

    private struct Reader {
        var file: String
        var positions: YAMLPositions

        func fail(_ path: String, _ message: String) -> ImageError {
            let place = (positions.key(path) ?? positions[path] ?? positions.nearest(path)).map {
                "line \($0.line), column \($0.column): "
            }
            return ImageError(file, "\(place ?? "")\(path): \(message)")
        }

        func text(_ value: Document, _ path: String) throws(ImageError) -> String {
            guard let text = value.string else { throw fail(path, "must be a string; quote it") }
            return text
        }

        func texts(_ value: Document, _ path: String) throws(ImageError) -> [String] {
            let texts = value.elements.compactMap(\.string)
            guard value.isArray, texts.count == value.count else { throw fail(path, "must be a list of strings") }
            return texts
        }

        func number(_ value: Document, _ path: String) throws(ImageError) -> Int {
            guard let number = value.int, (0...Int(UInt32.max)).contains(number) else {
                throw fail(path, "must be a number")
            }
            return number
        }
    }

    private static func list<T>(
        _ value: Document, _ path: String, _ reader: Reader,
        _ body: (Document, String, Reader) throws(ImageError) -> T
    ) throws(ImageError) -> [T] {
        guard value.isArray else { throw reader.fail(path, "must be a list") }
        var result: [T] = []
        for (index, element) in value.elements.enumerated() {
            result.append(try body(element, "\(path)[\(index)]", reader))
        }
        return result
    }

    private static func user(_ value: Document, _ path: String, _ reader: Reader) throws(ImageError) -> User {
        var user = User(name: "", uid: -1, gid: -1)
        for member in value.members {
            let place = "\(path).\(member.key)"
            switch member.key {
            case "name": user.name = try reader.text(member.value, place)
            case "uid": user.uid = try reader.number(member.value, place)
            case "gid": user.gid = try reader.number(member.value, place)
            case "home": user.home = try reader.text(member.value, place)
            case "shell": user.shell = try reader.text(member.value, place)
            default: throw reader.fail(place, "unknown field; known are name, uid, gid, home, shell")
            }
        }
        guard !user.name.isEmpty, user.uid >= 0 else { throw reader.fail(path, "a user needs a name and a uid") }
        for text in [user.name, user.home, user.shell] where text.contains(":") || text.contains("\n") {
            throw reader.fail(path, "\"\(text)\" cannot stand in /etc/passwd")
        }
        if user.gid < 0 { user.gid = user.uid }
        return user
    }

    private static func file(_ value: Document, _ path: String, _ reader: Reader) throws(ImageError) -> File {
        var file = File(path: "", content: .directory)
        var contents = 0
        var links: [String]?
        for member in value.members {
            let place = "\(path).\(member.key)"
            switch member.key {
            case "path": file.path = try reader.text(member.value, place)
            case "text": file.content = .text(try reader.text(member.value, place))
            case "source": file.content = .source(try reader.text(member.value, place))
            case "link": file.content = .link(try reader.text(member.value, place))
            case "to": file.content = .links(to: try reader.text(member.value, place), names: [])
            case "links": links = try reader.texts(member.value, place)
            case "directory":
                guard member.value.bool == true else { throw reader.fail(place, "can only be true") }
            case "mode":
                guard let mode = member.value.string.flatMap({ mode_t($0, radix: 8) }), mode <= 0o7777 else {
                    throw reader.fail(place, "must be octal digits in quotes, such as \"0644\"")
                }
                file.mode = mode
            case "owner":
                let numbers = (member.value.string ?? "").split(separator: ":").map { UInt32($0) }
                guard numbers.count == 2, let owner = numbers[0], let group = numbers[1] else {
                    throw reader.fail(place, "must be \"UID:GID\"")
                }
                (file.owner, file.group) = (owner, group)
            default:
                throw reader.fail(
                    place, "unknown field; known are path, text, source, link, to, links, directory, mode, owner")
            }
            if ["text", "source", "link", "to", "directory"].contains(member.key) { contents += 1 }
        }
        if case .links(let to, _) = file.content { file.content = .links(to: to, names: links ?? []) }
        guard file.path.hasPrefix("/"), LayerDirectory.components(file.path) != nil else {
            throw reader.fail("\(path).path", "must be an absolute path")
        }
        guard contents == 1 else { throw reader.fail(path, "needs exactly one of text, source, link, to, directory") }
        return file
    }

    private static func config(_ value: Document, _ reader: Reader) throws(ImageError) -> Document {
        var config = Document.emptyObject
        for member in value.members {
            let place = "config.\(member.key)"
            let value = member.value
            func set(_ keys: [String], _ name: String) {
                config[name] = Document(members: keys.sorted().map { ($0, Document.emptyObject) })
            }
            switch member.key {
            case "entrypoint": config["Entrypoint"] = Document(try reader.texts(value, place))
            case "cmd": config["Cmd"] = Document(try reader.texts(value, place))
            case "env":
                var variables: [String] = []
                for variable in value.members {
                    variables.append("\(variable.key)=\(try reader.text(variable.value, "\(place).\(variable.key)"))")
                }
                config["Env"] = Document(variables)
            case "workingDir": config["WorkingDir"] = Document(try reader.text(value, place))
            case "user": config["User"] = Document(try reader.text(value, place))
            case "ports":
                set(try reader.texts(value, place).map { $0.contains("/") ? $0 : "\($0)/tcp" }, "ExposedPorts")
            case "volumes": set(try reader.texts(value, place), "Volumes")
            case "labels": config["Labels"] = value
            case "stopSignal": config["StopSignal"] = Document(try reader.text(value, place))
            default:
                throw reader.fail(
                    place,
                    "unknown field; known are entrypoint, cmd, env, workingDir, user, ports, volumes, labels, stopSignal"
                )
            }
        }
        return config
    }
}
