import Basics
import Client
import Document
import Kinds
import Store
import Testing
import Wire

@testable import APIServer

/// Priority and fairness as a client meets it.
@Suite struct FairnessTests {
    private static let root = "/apis/flowcontrol.apiserver.k8s.io/v1"

    @Test func everyServerHasTheObjects() async throws {
        let harness = try await Harness()
        let levels = try await harness.send("GET", Self.root + "/prioritylevelconfigurations")
        #expect(
            levels.body.list("items").compactMap { $0.text("metadata", "name") } == [
                "catch-all", "exempt", "global-default", "leader-election", "node-high", "system", "workload-high",
                "workload-low",
            ])
        let schemas = try await harness.send("GET", Self.root + "/flowschemas")
        #expect(schemas.body.list("items").count == 11)
        // Making them again changes nothing.
        try await FairnessKeeper(server: harness.server).ensureObjects()
        let again = try await harness.send("GET", Self.root + "/flowschemas")
        #expect(again.body["items"] == schemas.body["items"])
    }

    @Test func answersNameSchemaAndLevel() async throws {
        let harness = try await Harness()
        func uid(_ path: String) async throws -> String? {
            try await harness.send("GET", Self.root + path).body.text("metadata", "uid")
        }
        func placed(_ reply: Harness.Reply) -> [String?] {
            [
                reply.headers["X-Kubernetes-PF-FlowSchema-UID"],
                reply.headers["X-Kubernetes-PF-PriorityLevel-UID"],
            ]
        }
        let admin = try await harness.send("GET", "/api/v1/namespaces/default")
        #expect(
            try await placed(admin) == [uid("/flowschemas/exempt"), uid("/prioritylevelconfigurations/exempt")])
        let controllers = "system:serviceaccounts:kube-system"
        let account = try await harness.send(
            "GET", "/api/v1/namespaces/default", as: "system:serviceaccount:kube-system:x",
            groups: ["system:serviceaccounts", controllers])
        #expect(account.status == 403)
        #expect(
            try await placed(account) == [
                uid("/flowschemas/kube-system-service-accounts"), uid("/prioritylevelconfigurations/workload-high"),
            ])
        let probe = try await harness.send("GET", "/healthz", as: "jane")
        #expect(
            try await placed(probe) == [uid("/flowschemas/probes"), uid("/prioritylevelconfigurations/exempt")])
        let jane = try await harness.send("GET", "/api/v1/pods", as: "jane")
        #expect(
            try await placed(jane) == [
                uid("/flowschemas/global-default"), uid("/prioritylevelconfigurations/global-default"),
            ])
    }

    @Test func newSchemasCountFromTheNextRequest() async throws {
        let harness = try await Harness()
        let made = try await harness.create(
            Self.root + "/flowschemas",
            [
                "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": ["name": "janes"],
                "spec": [
                    "priorityLevelConfiguration": ["name": "workload-low"], "matchingPrecedence": 10,
                    "rules": [
                        [
                            "subjects": [["kind": "User", "user": ["name": "jane"]]],
                            "resourceRules": [
                                [
                                    "verbs": ["list"], "apiGroups": [""], "resources": ["pods"],
                                    "namespaces": ["a"],
                                ]
                            ],
                        ]
                    ],
                ],
            ])
        let header = "X-Kubernetes-PF-FlowSchema-UID"
        let inside = try await harness.send("GET", "/api/v1/namespaces/a/pods", as: "jane")
        #expect(inside.headers[header] == made.text("metadata", "uid"))
        for target in ["/api/v1/pods", "/api/v1/namespaces/b/pods", "/api/v1/namespaces/a/pods/x"] {
            #expect(
                try await harness.send("GET", target, as: "jane").headers[header] != made.text("metadata", "uid"))
        }
        // Without its level it takes none, and says so.
        let patched = try await harness.send(
            "PATCH", Self.root + "/flowschemas/janes",
            ["spec": ["priorityLevelConfiguration": ["name": "missing"]]], type: "application/merge-patch+json")
        #expect(patched.status == 200)
        let outside = try await harness.send("GET", "/api/v1/namespaces/a/pods", as: "jane")
        #expect(outside.headers[header] != made.text("metadata", "uid"))
        try await FairnessKeeper(server: harness.server).noteDangling()
        let told = try await harness.send("GET", Self.root + "/flowschemas/janes")
        let condition = told.body.list("status", "conditions").first
        #expect(condition?.text("type") == "Dangling" && condition?.text("status") == "True")
        #expect(
            condition?.text("message")
                == "This FlowSchema references the PriorityLevelConfiguration object named \"missing\" but there is no "
                + "such object")
    }

    @Test func mandatoryObjectsComeBackAndSuggestedOnesMayDiffer() async throws {
        let harness = try await Harness()
        let keeper = FairnessKeeper(server: harness.server)
        #expect(try await harness.send("DELETE", Self.root + "/flowschemas/exempt").status == 200)
        let changed = try await harness.send(
            "PATCH", Self.root + "/flowschemas/catch-all", ["spec": ["matchingPrecedence": 9_999]],
            type: "application/merge-patch+json")
        #expect(changed.status == 422)
        let level = Self.root + "/prioritylevelconfigurations/workload-low"
        func shares() async throws -> Int? {
            try await harness.send("GET", level).body.number("spec", "limited", "nominalConcurrencyShares")
        }
        func patch(_ body: Document) async throws {
            _ = try await harness.send("PATCH", level, body, type: "application/merge-patch+json")
        }
        try await patch(["spec": ["limited": ["nominalConcurrencyShares": 7]]])
        #expect(try await shares() == 7)
        try await keeper.ensureObjects()
        // The annotation still says that the server keeps it.
        #expect(try await shares() == 100)
        #expect(try await harness.send("GET", Self.root + "/flowschemas/exempt").status == 200)
        try await patch([
            "metadata": ["annotations": ["apf.kubernetes.io/autoupdate-spec": "false"]],
            "spec": ["limited": ["nominalConcurrencyShares": 7]],
        ])
        try await keeper.ensureObjects()
        #expect(try await shares() == 7)
    }

    // MARK: Waiting

    /// A level of one seat and a queue of one for everybody.
    private static func narrow(_ harness: Harness) async throws -> Fairness {
        let fairness = Fairness(seats: 1, clock: harness.clock, log: .silent)
        let level: Document = [
            "metadata": ["name": "narrow"],
            "spec": [
                "type": "Limited",
                "limited": [
                    "nominalConcurrencyShares": 1, "lendablePercent": 0, "borrowingLimitPercent": 0,
                    "limitResponse": [
                        "type": "Queue", "queuing": ["queues": 1, "handSize": 1, "queueLengthLimit": 1],
                    ],
                ],
            ],
        ]
        let schema: Document = [
            "metadata": ["name": "all"],
            "spec": [
                "priorityLevelConfiguration": ["name": "narrow"], "matchingPrecedence": 2,
                "rules": [
                    [
                        "subjects": [["kind": "User", "user": ["name": "*"]]],
                        "resourceRules": [
                            [
                                "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true,
                                "namespaces": ["*"],
                            ]
                        ],
                    ]
                ],
            ],
        ]
        let level_ = try #require(PriorityLevel(level))
        _ = fairness.adopt([level_], [FlowSchema(schema)], generation: 0)
        return fairness
    }

    private static let info = RequestInfo(method: "GET", target: "/api/v1/pods")
    private static let jane = UserInfo(name: "jane", groups: ["system:authenticated"])

    private static func slot(_ admission: Fairness.Admission) throws -> Fairness.Slot {
        guard case .admitted(let slot) = admission else {
            Issue.record("it should be admitted: \(admission)")
            throw CancellationError()
        }
        return slot
    }

    /// Lets other tasks run until somebody waits.
    private static func untilSomebodyWaits(_ fairness: Fairness) async throws {
        for _ in 0..<100_000 {
            if fairness.state.withLock({ !$0.waiters.isEmpty }) { return }
            await Task.yield()
        }
        Issue.record("nobody waits")
    }

    @Test func aRequestWaitsForASeatAndTheNextIsTurnedAway() async throws {
        let harness = try await Harness()
        let fairness = try await Self.narrow(harness)
        let resources = harness.server.resources
        let first = try await Self.slot(fairness.admit(Self.jane, Self.info, resources))
        try await withThrowingTaskGroup(of: Fairness.Admission.self) { group in
            group.addTask { await fairness.admit(Self.jane, Self.info, resources) }
            try await Self.untilSomebodyWaits(fairness)
            let dump = try #require(fairness.dump("dump_requests", Query("includeRequestDetails=1")))
            #expect(dump.contains("narrow") && dump.contains("jane") && dump.contains("/api/v1/pods"))
            let third = await fairness.admit(Self.jane, Self.info, resources)
            guard case .refused(let seconds, let headers) = third else {
                Issue.record("the queue is full: \(third)")
                return
            }
            #expect(seconds == 1)
            #expect(headers.map(\.0).contains("X-Kubernetes-PF-FlowSchema-UID"))
            fairness.finish(first)
            let next = try await group.next()
            fairness.finish(try Self.slot(try #require(next)))
        }
        let metrics = fairness.exposition()
        #expect(
            metrics.contains(
                "apiserver_flowcontrol_rejected_requests_total{flow_schema=\"all\",priority_level=\"narrow\","
                    + "reason=\"queue-full\"} 1"))
        #expect(
            metrics.contains(
                "apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"all\",priority_level=\"narrow\"} 2"))
    }

    @Test func waitingHasAnEnd() async throws {
        let harness = try await Harness()
        let fairness = try await Self.narrow(harness)
        let resources = harness.server.resources
        let first = try await Self.slot(fairness.admit(Self.jane, Self.info, resources))
        try await withThrowingTaskGroup(of: Fairness.Admission.self) { group in
            group.addTask { await fairness.admit(Self.jane, Self.info, resources) }
            try await Self.untilSomebodyWaits(fairness)
            // Its timer may begin a little later than its waiting.
            while fairness.state.withLock({ !$0.waiters.isEmpty }) {
                harness.clock.advance(by: Fairness.longestWait)
                await Task.yield()
            }
            let next = try await group.next()
            let admission = try #require(next)
            guard case .refused = admission else {
                Issue.record("it should have been turned away: \(admission)")
                return
            }
        }
        #expect(fairness.exposition().contains("reason=\"time-out\"} 1"))
        fairness.finish(first)
        fairness.finish(try await Self.slot(fairness.admit(Self.jane, Self.info, resources)))
    }

    @Test func aClientThatGoesLeavesTheQueue() async throws {
        let harness = try await Harness()
        let fairness = try await Self.narrow(harness)
        let resources = harness.server.resources
        let first = try await Self.slot(fairness.admit(Self.jane, Self.info, resources))
        try await withThrowingTaskGroup(of: Fairness.Admission.self) { group in
            group.addTask { await fairness.admit(Self.jane, Self.info, resources) }
            try await Self.untilSomebodyWaits(fairness)
            group.cancelAll()
            let next = try await group.next()
            let admission = try #require(next)
            guard case .refused = admission else {
                Issue.record("it should have been turned away: \(admission)")
                return
            }
        }
        #expect(fairness.exposition().contains("reason=\"cancelled\"} 1"))
        #expect(fairness.state.withLock { $0.dispatcher.waiting } == 0)
        fairness.finish(first)
    }

    @Test func longRunningRequestsAreNotCounted() async throws {
        let harness = try await Harness()
        let fairness = try await Self.narrow(harness)
        for target in ["/api/v1/namespaces/a/pods/x/log", "/api/v1/nodes/n/proxy/metrics"] {
            let admission = await fairness.admit(
                Self.jane, RequestInfo(method: "GET", target: target), harness.server.resources)
            guard case .unlimited = admission else {
                Issue.record("\(target) should not be counted: \(admission)")
                continue
            }
        }
    }

    @Test func aTurnedAwayClientIsToldWhenToComeBack() throws {
        let response = PathHandlers.tooMany(retryAfter: 4)
        #expect(response.status == 429)
        #expect(response.headers["Retry-After"] == "4")
        guard case .bytes(let bytes) = response.body else {
            Issue.record("no body")
            return
        }
        #expect(String(decoding: bytes, as: UTF8.self) == "Too many requests, please try again later.\n")
    }
}
