import Document
import Glibc
import Images
import Linux
import Runtime

/// Who a container runs as: from `securityContext`, else from the image, whose names are looked up in its files.
enum ImageUser {
    static func resolve(container: Document, pod: Document, image: Image) throws -> User {
        func setting(_ name: String) -> Int? {
            container.number("securityContext", name) ?? pod.number("spec", "securityContext", name)
        }
        let named = image.config.text("User") ?? ""
        let parts = named.split(separator: ":", maxSplits: 1).map(String.init)
        let accounts = Accounts(image.layerDirectories)
        var user = User()
        if let uid = setting("runAsUser") {
            user.uid = UInt32(truncatingIfNeeded: uid)
            user.gid = accounts.user { $0.uid == user.uid }?.gid ?? 0
        } else if let name = parts.first, !name.isEmpty {
            if let uid = UInt32(name) {
                user.uid = uid
                user.gid = accounts.user { $0.uid == uid }?.gid ?? 0
            } else if let account = accounts.user(where: { $0.name == name }) {
                user.uid = account.uid
                user.gid = account.gid
            } else {
                throw StartProblem(
                    reason: "CreateContainerError",
                    message: "unable to find user \(name): no matching entries in passwd file")
            }
            if parts.count == 2 { user.gid = try accounts.group(parts[1]) }
        }
        if let gid = setting("runAsGroup") { user.gid = UInt32(truncatingIfNeeded: gid) }
        try checkNonRoot(
            required: container.flag("securityContext", "runAsNonRoot") ?? pod.flag(
                "spec", "securityContext", "runAsNonRoot") ?? false,
            uid: user.uid, imageUser: named, isExplicit: setting("runAsUser") != nil,
            who: "(pod: \"\(pod.text("metadata", "name") ?? "")_\(pod.text("metadata", "namespace") ?? "")"
                + "(\(pod.text("metadata", "uid") ?? ""))\", container: \(container.text("name") ?? ""))")
        // The own group is among them: programs look it up there.
        var groups: [UInt32] = [user.gid]
        if pod.text("spec", "securityContext", "supplementalGroupsPolicy") != "Strict",
            let name = accounts.user(where: { $0.uid == user.uid })?.name
        {
            groups += accounts.memberships(of: name)
        }
        groups += pod.list("spec", "securityContext", "supplementalGroups").compactMap {
            $0.int.map { UInt32(truncatingIfNeeded: $0) }
        }
        if let group = pod.number("spec", "securityContext", "fsGroup") {
            groups.append(UInt32(truncatingIfNeeded: group))
        }
        for group in groups where !user.additionalGroups.contains(group) { user.additionalGroups.append(group) }
        return user
    }

    /// What programs find in HOME unless something else says otherwise.
    static func home(of user: User, image: Image) -> String {
        let home = Accounts(image.layerDirectories).user { $0.uid == user.uid }?.home ?? ""
        return home.isEmpty ? "/" : home
    }

    private static func checkNonRoot(
        required: Bool, uid: UInt32, imageUser: String, isExplicit: Bool, who: String
    ) throws {
        guard required else { return }
        func refuse(_ message: String) -> StartProblem {
            StartProblem(reason: "CreateContainerConfigError", message: "\(message) \(who)")
        }
        let name = imageUser.split(separator: ":").first.map(String.init) ?? ""
        if !isExplicit, !name.isEmpty, UInt32(name) == nil {
            throw refuse(
                "container has runAsNonRoot and image has non-numeric user (\(name)), cannot verify user is non-root")
        }
        if uid == 0 {
            throw refuse(
                isExplicit
                    ? "container's runAsUser breaks non-root policy"
                    : "container has runAsNonRoot and image will run as root")
        }
    }
}

/// The accounts of an image, read from its layers without following any link out of them.
struct Accounts {
    struct Account {
        var name: String
        var uid: UInt32
        var gid: UInt32
        var home: String
    }

    private let users: [[Substring]]
    private let groups: [[Substring]]

    init(_ layers: [String]) {
        users = Self.table("passwd", layers)
        groups = Self.table("group", layers)
    }

    func user(where matches: (Account) -> Bool) -> Account? {
        for row in users where row.count >= 4 {
            guard let uid = UInt32(row[2]), let gid = UInt32(row[3]) else { continue }
            let account = Account(
                name: String(row[0]), uid: uid, gid: gid, home: row.count > 5 ? String(row[5]) : "")
            if matches(account) { return account }
        }
        return nil
    }

    func group(_ name: String) throws -> UInt32 {
        if let gid = UInt32(name) { return gid }
        guard let row = groups.first(where: { $0.count >= 3 && $0[0] == name }), let gid = UInt32(row[2]) else {
            throw StartProblem(
                reason: "CreateContainerError",
                message: "unable to find group \(name): no matching entries in group file")
        }
        return gid
    }

    func memberships(of name: String) -> [UInt32] {
        groups.compactMap { row in
            guard row.count >= 4, row[3].split(separator: ",").contains(where: { $0 == name }) else { return nil }
            return UInt32(row[2])
        }
    }

    private static func table(_ file: String, _ layers: [String]) -> [[Substring]] {
        for layer in layers {
            let path = "\(layer)/etc/\(file)"
            var directory = stat()
            var status = stat()
            guard lstat("\(layer)/etc", &directory) == 0, directory.st_mode & S_IFMT == S_IFDIR,
                lstat(path, &status) == 0
            else { continue }
            guard status.st_mode & S_IFMT == S_IFREG, let bytes = try? Files.read(path, limit: 1 << 20) else {
                return []
            }
            return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
                .map { $0.split(separator: ":", omittingEmptySubsequences: false) }
        }
        return []
    }
}
