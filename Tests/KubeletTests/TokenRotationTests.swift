import Basics
import Client
import Document
import Synchronization
import Testing
import Wire

@testable import Kubelet

/// A clock that stands until it is moved.
private final class HandClock: WorldClock {
    private let time = Mutex(start)
    var now: Timestamp { time.withLock { $0 } }
    var uptime: Duration { .zero }
    func sleep(for duration: Duration) async throws { throw CancellationError() }
    func move(_ seconds: Int) { time.withLock { $0 = $0 + .seconds(seconds) } }
}

@Suite struct TokenRotationTests {
    /// Tokens are numbered; each lives as long as was asked for, but at most two days.
    private func source(_ clock: HandClock, _ asked: @escaping @Sendable (Document) -> Void) -> TokenSource {
        let count = Mutex(0)
        let handler: @Sendable (Request) async -> Response = { request in
            let body = (try? Document(json: request.body)) ?? .null
            asked(body)
            let number = count.withLock { count in
                count += 1
                return count
            }
            let life = min(body.number("spec", "expirationSeconds") ?? 0, 172_800)
            let answer: Document = [
                "status": [
                    "token": Document("token-\(number)"),
                    "expirationTimestamp": Document((clock.now + .seconds(life)).rfc3339()),
                ]
            ]
            return Response(
                status: 201, headers: Headers([("Content-Type", "application/json")]), body: .bytes(answer.json))
        }
        return TokenSource(
            APIClient(transport: InProcessTransport(handler: handler), userAgent: "test"), clock: clock)
    }

    @Test func aTokenIsReplacedWhenFourFifthsOfItsLifeAreOver() async throws {
        let clock = HandClock()
        let requests = Mutex<[Document]>([])
        let tokens = source(clock) { body in requests.withLock { $0.append(body) } }
        let wanted: Document = ["path": "token", "expirationSeconds": 600, "audience": "me"]
        let pod = pod()
        let first = try await tokens.token(for: pod, wanted)
        #expect(first.token == "token-1")
        #expect(first.refreshAt == clock.now + .seconds(480))
        clock.move(479)
        #expect(try await tokens.token(for: pod, wanted).token == "token-1")
        clock.move(1)
        #expect(try await tokens.token(for: pod, wanted).token == "token-2")
        #expect(requests.withLock { $0.count } == 2)
        let request = requests.withLock { $0[0] }
        #expect(request.list("spec", "audiences") == ["me"])
        #expect(request.text("spec", "boundObjectRef", "uid") == pod.text("metadata", "uid"))
        // Another audience has a token of its own, and so has another pod.
        #expect(try await tokens.token(for: pod, ["path": "token"]).token == "token-3")
        await tokens.forget(pod: pod.text("metadata", "uid") ?? "")
        #expect(try await tokens.token(for: pod, wanted).token == "token-4")
    }

    @Test func evenALongLivedOneIsReplacedEveryDay() async throws {
        let clock = HandClock()
        let tokens = source(clock) { _ in }
        let wanted: Document = ["path": "token", "expirationSeconds": 172_800]
        #expect(try await tokens.token(for: pod(), wanted).refreshAt == clock.now + .seconds(86_400))
        clock.move(86_400)
        #expect(try await tokens.token(for: pod(), wanted).token == "token-2")
    }
}
