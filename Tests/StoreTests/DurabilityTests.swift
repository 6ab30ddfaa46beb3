import Glibc
import Store
import Testing

/// What survives the end of a process, orderly or not.
@Suite struct DurabilityTests {
    @Test func reopeningContinuesTheRevisionAndTheHistory() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let path = folder.path + "/store.db"
        var store = try SQLiteStore(path: path)
        let first = try await store.create("/k/a") { _ in [1] }
        let second = try await store.update("/k/a", expected: first.revision) { _ in [2] }
        let other = try await store.create("/k/b") { _ in [3] }
        let gone = try await store.delete("/k/b", expected: other.revision) { _ in [4] }
        await store.close()

        store = try SQLiteStore(path: path)
        #expect(await store.revision == gone.revision)
        #expect(try await store.get("/k/a") == second)
        #expect(try await store.get("/k/b") == nil)
        let watch = try await store.watch(prefix: "/k/", after: first.revision)
        #expect(try await watch.next().events.map(\.kind) == [.updated, .created, .deleted])
        watch.cancel()
        try await store.compact(before: gone.revision + 1)
        await store.close()

        // The newest row was a deletion that compaction removed: the count must not go back.
        store = try SQLiteStore(path: path)
        #expect(await store.revision == gone.revision)
        await #expect(throws: StoreError.compacted(oldest: gone.revision)) {
            try await store.watch(prefix: "/k/", after: second.revision)
        }
        #expect(try await store.create("/k/c") { _ in [] }.revision == gone.revision + 1)
        await store.close()
    }

    /// Kills a process that writes, and finds every write that it had acknowledged.
    @Test(.enabled(if: CrashChild.canRun, "needs /proc/self/exe")) func acknowledgedWritesSurviveKill() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        var acknowledged: [String: Revision] = [:]
        var newest: Revision = 0
        for round in 0..<3 {
            for (key, revision) in try CrashChild.runAndKill(folder: folder.path, after: 40 + round * 25) {
                acknowledged[key] = revision
                newest = max(newest, revision)
            }
            let store = try SQLiteStore(path: folder.path + "/store.db")
            #expect(await store.revision >= newest)
            for (key, revision) in acknowledged {
                let record = try #require(try await store.get(key), "\(key) was acknowledged at \(revision)")
                #expect(record.revision >= revision)
                #expect(record.value == Array("\(key)@\(record.revision)".utf8))
            }
            await store.close()
        }
        #expect(acknowledged.count > 8)
    }

    /// The victim of the test above: runs in a process of its own and writes until it is killed.
    @Test(.enabled(if: CrashChild.folder != nil, "only in the child process of the kill test"))
    func crashChild() async throws {
        let folder = try #require(CrashChild.folder)
        let store = try SQLiteStore(path: folder + "/store.db")
        let acks = open(folder + "/acks", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        let generation = await store.revision
        let parent = getppid()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    var number = 0
                    // Ends by itself only when the test that should kill it is gone.
                    while getppid() == parent {
                        let key = "/k/\(generation)-\(writer)-\(number)"
                        number += 1
                        let made = try await store.create(key) { Array("\(key)@\($0)".utf8) }
                        Self.acknowledge("\(key) \(made.revision)\n", on: acks)
                        let changed = try await store.update(key, expected: made.revision) {
                            Array("\(key)@\($0)".utf8)
                        }
                        Self.acknowledge("\(key) \(changed.revision)\n", on: acks)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private static func acknowledge(_ line: String, on descriptor: Int32) {
        let bytes = Array(line.utf8)
        _ = write(descriptor, bytes, bytes.count)
    }
}

/// Runs this test program once more, as the process that gets killed.
enum CrashChild {
    static var folder: String? { getenv("LAB_STORE_CRASH_FOLDER").map { String(cString: $0) } }
    static var canRun: Bool { folder == nil && access("/proc/self/exe", X_OK) == 0 }

    /// Starts the child, waits for `count` acknowledgements, kills it, and returns all that it had written down.
    static func runAndKill(folder: String, after count: Int) throws -> [(String, Revision)] {
        unlink(folder + "/acks")
        let child = try spawn(folder: folder)
        var status: Int32 = 0
        for _ in 0..<6_000 {
            if lines(of: folder).count >= count { break }
            guard waitpid(child, &status, WNOHANG) == 0 else { throw StoreError.failed("the child ended by itself") }
            usleep(10_000)
        }
        kill(child, SIGKILL)
        waitpid(child, &status, 0)
        let lines = lines(of: folder)
        guard lines.count >= count else { throw StoreError.failed("the child acknowledged \(lines.count) writes only") }
        return lines.compactMap { line in
            let parts = line.split(separator: " ")
            guard parts.count == 2, let revision = Revision(parts[1]) else { return nil }
            return (String(parts[0]), revision)
        }
    }

    private static func spawn(folder: String) throws -> pid_t {
        let arguments = ["/proc/self/exe", "--testing-library", "swift-testing", "--filter", "crashChild"]
        let variables = ["LAB_STORE_CRASH_FOLDER=\(folder)", "PATH=/usr/bin:/bin"] + libraryPath
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
        defer { for pointer in argv + environment { free(pointer) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor: Int32 in [1, 2] {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0)
        }
        var child = pid_t()
        let code = posix_spawn(&child, "/proc/self/exe", &actions, nil, &argv, &environment)
        guard code == 0 else { throw StoreError.failed("posix_spawn: errno \(code)") }
        return child
    }

    private static var libraryPath: [String] {
        getenv("LD_LIBRARY_PATH").map { ["LD_LIBRARY_PATH=" + String(cString: $0)] } ?? []
    }

    private static func lines(of folder: String) -> [Substring] {
        guard let file = fopen(folder + "/acks", "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        // Not to the end of the file: the child appends to it faster than this reads.
        var length = stat()
        fstat(fileno(file), &length)
        while bytes.count < length.st_size {
            let count = fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        // The last line may be half written only if the kill fell into the write: keep whole lines.
        let whole = bytes.lastIndex(of: 10).map { bytes[...$0] } ?? []
        return String(decoding: whole, as: UTF8.self).split(separator: "\n")
    }
}
