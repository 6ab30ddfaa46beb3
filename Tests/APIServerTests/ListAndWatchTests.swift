import Basics
import Client
import Document
import Kinds
import Store
import Testing
import Wire

@testable import APIServer

@Suite struct ListAndWatchTests {
    @Test func theServerTellsWhatItWasBuiltFrom() async throws {
        let harness = try await Harness()
        let version = try await harness.send("GET", "/version").body
        #expect(version.text("gitCommit") == "c0ffee" && version.text("gitTreeState") == "clean")
        #expect(version.text("buildDate") == "2026-01-02T03:04:05Z" && version.text("minor") == "36")
        let metrics = try await harness.send("GET", "/metrics").text
        #expect(metrics.contains("git_commit=\"c0ffee\",git_tree_state=\"clean\",git_version=\"v1.36.0+lab\""))
    }

    private let maps = "/api/v1/namespaces/default/configmaps"

    @Test func pagesShowOneMoment() async throws {
        let harness = try await Harness()
        for name in ["a", "b", "c", "d", "e"] { try await harness.create(maps, Harness.configMap(name)) }
        let first = try await harness.send("GET", maps + "?limit=2").body
        #expect(first.number("metadata", "remainingItemCount") == 3)
        let token = try #require(first.text("metadata", "continue"))
        #expect(try await harness.send("DELETE", maps + "/d").status == 200)
        try await harness.create(maps, Harness.configMap("bb"))
        let rest = try await harness.send("GET", maps + "?limit=10&continue=\(token)").body
        #expect(rest.list("items").compactMap { $0.text("metadata", "name") } == ["c", "d", "e"])
        #expect(rest.text("metadata", "resourceVersion") == first.text("metadata", "resourceVersion"))
        #expect(try await harness.send("GET", maps + "?continue=garbage").status == 400)
    }

    @Test func selectorsChoose() async throws {
        let harness = try await Harness()
        for (name, tier) in [("a", "web"), ("b", "db"), ("c", "web")] {
            try await harness.create(maps, Harness.configMap(name, labels: ["tier": Document(tier)]))
        }
        func names(_ query: String) async throws -> [String] {
            try await harness.send("GET", maps + "?" + query).body.list("items")
                .compactMap { $0.text("metadata", "name") }
        }
        #expect(try await names("labelSelector=tier%3Dweb") == ["a", "c"])
        #expect(try await names("labelSelector=tier%20in%20(db)") == ["b"])
        #expect(try await names("fieldSelector=metadata.name%3Db") == ["b"])
        #expect(try await names("fieldSelector=metadata.name!%3Db") == ["a", "c"])
        #expect(try await harness.send("GET", maps + "?fieldSelector=spec.x%3D1").status == 400)
    }

    @Test func tablesAndPartialMetadata() async throws {
        let harness = try await Harness()
        try await harness.create(maps, Harness.configMap("a", data: ["k": "v"]))
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        let table = try await harness.send("GET", maps, headers: [("Accept", accept)]).body
        #expect(table.text("kind") == "Table")
        #expect(table.list("columnDefinitions").compactMap { $0.text("name") } == ["Name", "Data", "Age"])
        #expect(table.list("rows").first?.list("cells") == ["a", 1, "0s"])
        #expect(table.list("rows").first?.text("object", "kind") == "PartialObjectMetadata")
        let partial = try await harness.send(
            "GET", maps, headers: [("Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")]
        ).body
        #expect(partial.text("kind") == "PartialObjectMetadataList")
        #expect(partial.list("items").first?["data"] == nil)
        let yaml = try await harness.send("GET", maps + "/a", headers: [("Accept", "application/yaml")])
        #expect(try Document(yaml: yaml.text).text("data", "k") == "v")
    }

    @Test func watchesFollowFromAListAndTranslateSelections() async throws {
        let harness = try await Harness()
        let maps = maps
        let seen = try await harness.withClient { client in
            let start = try await client.list(.configMaps, namespace: "default")
            let watch = try await client.watch(
                .configMaps, namespace: "default", labelSelector: "on=1",
                resourceVersion: start.text("metadata", "resourceVersion") ?? "")
            let merge = "application/merge-patch+json"
            try await harness.create(maps, Harness.configMap("other"))
            try await harness.create(maps, Harness.configMap("a"))
            for value: Document in ["1", "1", nil, "1"] {
                _ = try await harness.send(
                    "PATCH", maps + "/a",
                    ["metadata": ["labels": ["on": value]], "data": ["n": Document(value.jsonText)]],
                    type: merge)
            }
            _ = try await harness.send("DELETE", maps + "/a")
            var seen: [String] = []
            while seen.count < 4, let event = try await watch.next() {
                switch event {
                case .added(let object): seen.append("added \(object.text("metadata", "name") ?? "")")
                case .modified: seen.append("modified")
                case .deleted(let object): seen.append("deleted \(object.map("metadata", "labels")["on"] ?? "-")")
                case .bookmark: seen.append("bookmark")
                }
            }
            watch.cancel()
            return seen
        }
        #expect(seen == ["added a", "deleted 1", "added a", "deleted 1"])
    }

    @Test func initialEventsEndWithABookmark() async throws {
        let harness = try await Harness()
        try await harness.create(maps, Harness.configMap("a"))
        let lines = try await collect(
            harness,
            maps + "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
            count: 2)
        #expect(lines.map { $0.text("type") } == ["ADDED", "BOOKMARK"])
        #expect(lines[1].text("object", "metadata", "annotations", "k8s.io/initial-events-end") == "true")
    }

    @Test func quietWatchesGetBookmarksAndEndInTime() async throws {
        let harness = try await Harness()
        let now = try #require(
            try await harness.send("GET", maps).body.text("metadata", "resourceVersion"))
        let response = await harness.server.handler(
            Request(
                "GET", maps + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=90&resourceVersion=\(now)",
                peer: harness.admin))
        guard case .stream(let produce) = response.body else {
            Issue.record("a watch answers a stream")
            return
        }
        try await harness.create("/api/v1/namespaces/kube-public/configmaps", Harness.configMap("elsewhere"))
        let writer = LineCollector()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await produce(writer) }
            group.addTask {
                // The stream ends when its own time is over, however far the clock is moved.
                while !Task.isCancelled {
                    harness.clock.advance(by: .seconds(30))
                    await Task.yield()
                }
            }
            try await group.next()
            group.cancelAll()
        }
        // One after a minute, and one before the end.
        let bookmarks = writer.lines
        #expect(bookmarks.count == 2)
        #expect(bookmarks.first?.text("type") == "BOOKMARK")
        let revision = bookmarks.first?.text("object", "metadata", "resourceVersion").flatMap { Int($0) } ?? 0
        #expect(revision > Int(now) ?? 0)
    }

    @Test func theForgottenPastIsGone() async throws {
        let store = MemoryStore()
        let harness = try await Harness(store: store)
        let first = try await harness.create(maps, Harness.configMap("a"))
        try await harness.create(maps, Harness.configMap("b"))
        try await harness.create(maps, Harness.configMap("c"))
        try await store.compact(before: await store.revision)
        let revision = first.text("metadata", "resourceVersion") ?? ""
        let oldest = await store.revision
        let stale = try await harness.stream("GET", maps + "?watch=1&resourceVersion=\(revision)")
        #expect(stale.status == 200)
        #expect(stale.body.text("type") == "ERROR")
        #expect(stale.body.number("object", "code") == 410)
        #expect(stale.body.text("object", "reason") == "Expired")
        #expect(
            stale.body.text("object", "message") == "too old resource version: \(revision) (\(oldest - 1))")
        let list = try await harness.send("GET", maps + "?resourceVersion=\(revision)&resourceVersionMatch=Exact")
        #expect(list.status == 410)
    }

    @Test func anOldPageGoesOnWithWhatThereIsNow() async throws {
        let store = MemoryStore()
        let harness = try await Harness(store: store)
        for name in ["a", "b", "c"] { try await harness.create(maps, Harness.configMap(name)) }
        let first = try await harness.send("GET", maps + "?limit=1").body
        let token = try #require(first.text("metadata", "continue"))
        _ = try await harness.send("DELETE", maps + "/b")
        try await harness.create(maps, Harness.configMap("d"))
        try await store.compact(before: await store.revision)
        let old = try await harness.send("GET", maps + "?limit=1&continue=\(token)")
        #expect(old.status == 410)
        #expect(old.body.text("reason") == "Expired")
        #expect(old.body.text("message")?.contains("use the continue token in this response") == true)
        let next = try #require(old.body.text("metadata", "continue"))
        let rest = try await harness.send("GET", maps + "?limit=5&continue=\(next)")
        #expect(rest.status == 200)
        #expect(rest.body.list("items").map { $0.text("metadata", "name") } == ["c", "d"])
    }

    @Test func whatLiesAheadIsWaitedFor() async throws {
        let harness = try await Harness()
        let now = try #require(
            try await harness.send("GET", maps).body.text("metadata", "resourceVersion").flatMap { Int($0) })
        // The first of the two objects does not lie behind the revision that the watch begins after.
        async let lines = collect(harness, maps + "?watch=1&resourceVersion=\(now + 1)", count: 1)
        try await harness.create(maps, Harness.configMap("a"))
        try await harness.create(maps, Harness.configMap("b"))
        #expect(try await lines.map { $0.text("object", "metadata", "name") } == ["b"])
        let first = try await collect(
            harness,
            maps + "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=\(now + 99)",
            count: 1)
        #expect(first.first?.text("type") == "ERROR")
        #expect(first.first?.number("object", "code") == 504)
    }

    @Test(arguments: [
        ("sendInitialEvents=true", 422, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        ("timeoutSeconds=abc", 400, "strconv.ParseInt: parsing \"abc\": invalid syntax"),
        (
            "resourceVersion=1&resourceVersionMatch=Exact&continue=x", 422,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"
        ),
    ])
    func optionsThatAListDoesNotTake(_ query: String, _ status: Int, _ message: String) async throws {
        let reply = try await Harness().send("GET", maps + "?" + query)
        #expect(reply.status == status)
        #expect(reply.body.text("message")?.hasSuffix(message) == true)
    }

    @Test(arguments: [
        ("watch", true), ("watch=", true), ("watch=yes", true), ("watch=1", true), ("watch=0", false),
        ("watch=False", false), ("limit=1", false),
    ])
    func whateverDoesNotDenyAWatchAsksForOne(_ query: String, _ isWatch: Bool) async throws {
        let harness = try await Harness()
        let response = await harness.server.handler(Request("GET", maps + "?" + query, peer: harness.admin))
        if case .stream = response.body { #expect(isWatch) } else { #expect(!isWatch) }
    }

    @Test func peopleGetLinesAndWeightsCount() async throws {
        let harness = try await Harness()
        try await harness.create(maps, Harness.configMap("a"))
        func text(_ query: String = "", _ headers: [(String, String)] = []) async throws -> String {
            try await harness.send("GET", maps + "/a" + query, headers: headers).text
        }
        let lines = "{\n  \"kind\": \"ConfigMap\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {\n    \"name\": \"a\","
        #expect(try await text("?pretty=true").hasPrefix(lines))
        #expect(try await text("", [("User-Agent", "curl/8.5.0")]).hasPrefix(lines))
        #expect(try await text("", [("Accept", "application/json;pretty=1")]).hasPrefix(lines))
        #expect(try await !text("?pretty=false", [("User-Agent", "curl/8.5.0")]).contains("\n "))
        #expect(try await !text().contains("\n "))
        #expect(try await harness.send("GET", maps + "/missing?pretty=1").text.hasPrefix("{\n  \"kind\": \"Status\""))
        #expect(try await harness.send("GET", maps + "?pretty=1").text.contains("\n  \"items\": [\n    {\n"))
        #expect(try await harness.send("GET", "/version").text.contains("\n  \"major\": \"1\""))
        let weighed = [("Accept", "application/yaml;q=0.5,application/json")]
        #expect(try await text("", weighed).hasPrefix("{"))
        let watch = try await harness.send("GET", maps + "?watch=1", headers: [("Accept", "application/yaml")])
        #expect(watch.status == 406)
        #expect(watch.text.contains("application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"))
    }

    /// The first lines of a watch.
    private func collect(_ harness: Harness, _ target: String, count: Int) async throws -> [Document] {
        let response = await harness.server.handler(Request("GET", target, peer: harness.admin))
        guard case .stream(let produce) = response.body else { return [] }
        let writer = LineCollector(limit: count)
        do { try await produce(writer) } catch is LineCollector.Enough {}
        return writer.lines
    }
}
