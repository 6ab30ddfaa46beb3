import Basics
import Synchronization
import Wire

/// What the server counts, under the names that CoreDNS gives it, so that its dashboards work.
public final class DNSMetrics: MetricsSource {
    private struct State {
        var requests: [Request: Int] = [:]
        var responses: [UInt8: Int] = [:]
        var durations = Histogram(first: 0.000_25, factor: 2, count: 16)
        var sizes = Histogram(bounds: [100, 200, 300, 400, 511, 1_023, 2_047, 4_095, 8_291, 16_000, 32_000, 48_000])
        var hits = 0
        var misses = 0
        var forwarded: [Endpoint: Int] = [:]
        var reloadsFailed = 0
    }

    private struct Request: Hashable {
        var isStream: Bool
        var type: DNSType
    }

    private let state = Mutex(State())

    /// Types that are told apart; all others are counted as one, since whoever asks chooses the number.
    private static let types: Set<DNSType> = [.a, .aaaa, .cname, .mx, .ns, .ptr, .soa, .srv, .txt, .any]

    public init() {}

    func count(_ type: DNSType, isStream: Bool, code: DNSCode, size: Int, took: Duration) {
        state.withLock { state in
            let known = Self.types.contains(type) ? type : DNSType(rawValue: 0)
            state.requests[Request(isStream: isStream, type: known), default: 0] += 1
            state.responses[code.rawValue, default: 0] += 1
            state.durations.add(took.inSeconds)
            state.sizes.add(Double(size))
        }
    }

    func countCache(hit: Bool) { state.withLock { if hit { $0.hits += 1 } else { $0.misses += 1 } } }
    func countForward(to upstream: Endpoint) { state.withLock { $0.forwarded[upstream, default: 0] += 1 } }
    func countFailedReload() { state.withLock { $0.reloadsFailed += 1 } }

    public func write(to text: inout MetricsText) {
        let state = state.withLock { $0 }
        let server: MetricsText.Labels = [(name: "server", value: "dns://:53"), (name: "zone", value: ".")]
        text.family(
            "coredns_dns_requests_total", .counter, "Queries, by transport and type.",
            state.requests.map { request, count in
                (
                    server + [
                        (name: "proto", value: request.isStream ? "tcp" : "udp"), (name: "family", value: "1"),
                        (name: "type", value: request.type.rawValue == 0 ? "other" : "\(request.type)"),
                    ], Double(count)
                )
            }.sorted { $0.0.map(\.value).lexicographicallyPrecedes($1.0.map(\.value)) })
        text.family(
            "coredns_dns_responses_total", .counter, "Answers, by their code.",
            state.responses.sorted { $0.key < $1.key }.map { code, count in
                (server + [(name: "rcode", value: DNSCode(rawValue: code).description)], Double(count))
            })
        text.histograms(
            "coredns_dns_request_duration_seconds", "How long answers took.", [(server, state.durations)])
        text.histograms(
            "coredns_dns_response_size_bytes", "How long answers were.",
            [(server + [(name: "proto", value: "udp")], state.sizes)])
        let cache: MetricsText.Labels = [(name: "server", value: "dns://:53")]
        text.family(
            "coredns_cache_hits_total", .counter, "Answers from the cache.", [(cache, Double(state.hits))])
        text.family(
            "coredns_cache_misses_total", .counter, "Queries that the cache had no answer to.",
            [(cache, Double(state.misses))])
        text.family(
            "coredns_forward_requests_total", .counter, "Queries passed on, by resolver.",
            state.forwarded.map { ([(name: "to", value: "\($0.key)")], Double($0.value)) }
                .sorted { $0.0[0].value < $1.0[0].value })
        text.family(
            "coredns_reload_failed_total", .counter, "Configurations that were refused.",
            [([], Double(state.reloadsFailed))])
    }
}
