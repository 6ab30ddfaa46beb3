import Basics
import Document
import Glibc
import Linux
import Synchronization
import Wire

/// The OCI distribution protocol: finds the server, shows who we are, follows redirects, repeats what failed.
///
/// Authorization is learnt, not configured: a request goes out with what the last one of its kind was let in with,
/// and a 401 names where a token is to be had. So the common anonymous pull takes one extra exchange, later ones none.
public final class RegistryClient: Sendable {
    static let mostRedirects = 8
    static let mostGrants = 256

    let settings: RegistrySettings
    let web: WebClient
    let clock: any WorldClock
    let random: any Randomness
    let plan: RetryPlan

    private struct Door: Hashable {
        var origin: WebAddress.Origin
        var scope: String
    }

    /// The `Authorization` values that opened a door last.
    private let grants = Mutex<[Door: String]>([:])
    /// What credential helpers answered, which may take them a while.
    private let helped = Mutex<[String: RegistryCredentials?]>([:])

    public convenience init(settings: RegistrySettings, world: World) {
        self.init(settings: settings, world: world, plan: RetryPlan())
    }

    init(settings: RegistrySettings, world: World, plan: RetryPlan) {
        self.settings = settings
        self.plan = plan
        clock = world.clock
        random = world.random
        web = WebClient(settings: settings, world: world)
    }

    public func close() { web.closeIdle() }

    // MARK: Requests

    /// One repository as it is asked for at one endpoint.
    struct Place: Sendable {
        var endpoint: RegistryEndpoint
        /// The host that the user named, which credentials are filed under.
        var host: String
        var path: String
        var actions = "pull"
        /// Another repository to read from, for mounting its blobs.
        var source: String?

        var scopes: [String] {
            ["repository:\(path):\(actions)"] + (source.map { ["repository:\($0):pull"] } ?? [])
        }

        func address(_ rest: String) -> WebAddress { endpoint.address("\(path)/\(rest)") }
    }

    func send(
        _ method: String, _ address: WebAddress, in place: Place, _ headers: Headers = Headers(), body: [UInt8] = []
    ) async throws -> any ResponseStream {
        // A registry may name another server for uploads; it gets no credentials of ours.
        let isOwn = address.origin == place.endpoint.origin
        let door = Door(origin: place.endpoint.origin, scope: place.scopes.joined(separator: " "))
        var grant = isOwn ? grants.withLock { $0[door] } : nil
        var candidates: [RegistryCredentials?]?
        while true {
            var headers = headers
            headers["Authorization"] = grant
            let response = try await follow(method, address, headers, body: body)
            guard isOwn, response.status == 401 || response.status == 403 && candidates?.isEmpty == false else {
                if let grant, response.status < 400 { remember(grant, door) }
                return response
            }
            let challenges = response.headers.all("WWW-Authenticate").flatMap { AuthChallenge.parse($0) }
            var left = candidates ?? self.candidates(for: place)
            guard !left.isEmpty else { return response }
            let next = left.removeFirst()
            candidates = left
            let answer: String?
            do { answer = try await authorization(challenges, next, place) } catch let refused as RegistryFailure
                where !left.isEmpty && [400, 401, 403].contains(refused.status ?? 0)
            {
                // A token server that does not know these credentials may know the next ones.
                answer = nil
            }
            guard let fresh = answer, fresh != grant else {
                if left.isEmpty { return response }
                response.cancel()
                continue
            }
            // Short, and reading it to its end lets the connection live on.
            _ = try? await response.collect(limit: RegistryFailure.longestAnswer)
            grant = fresh
        }
    }

    private func remember(_ grant: String, _ door: Door) {
        grants.withLock { grants in
            if grants.count >= Self.mostGrants { grants.removeAll() }
            grants[door] = grant
        }
    }

    /// Whom we can say to be, and at last nobody.
    private func candidates(for place: Place) -> [RegistryCredentials?] {
        // A mirror has credentials of its own; those for the registry are not its to see.
        let host = place.endpoint.isMirror ? place.endpoint.origin.authority : place.host
        var found = settings.credentials.candidates(for: "\(host)/\(place.path)")
        if found.isEmpty, let helper = settings.credentials.helper(for: host) {
            let known = helped.withLock { $0[host] }
            let answer = known ?? CredentialSet.ask(helper: helper, host: host)
            if known == nil { helped.withLock { $0[host] = .some(answer) } }
            found += answer.map { [$0] } ?? []
        }
        return found + [nil]
    }

    /// GET and HEAD follow redirects; credentials go no further than the server that they are for.
    private func follow(
        _ method: String, _ start: WebAddress, _ headers: Headers, body: [UInt8]
    ) async throws -> any ResponseStream {
        var address = start
        var headers = headers
        for _ in 0...Self.mostRedirects {
            let response = try await web.send(method, address, headers, body: body)
            guard method == "GET" || method == "HEAD", [301, 302, 303, 307, 308].contains(response.status) else {
                return response
            }
            guard let location = response.headers["Location"], let next = address.resolving(location) else {
                throw RegistryFailure("\(address): redirects to nowhere", status: response.status)
            }
            _ = try? await response.collect(limit: RegistryFailure.longestAnswer)
            if next.origin != address.origin { headers["Authorization"] = nil }
            address = next
        }
        throw RegistryFailure("\(start): more than \(Self.mostRedirects) redirects")
    }

    // MARK: Tokens

    /// The `Authorization` that answers a challenge; nil where these credentials cannot.
    private func authorization(
        _ challenges: [AuthChallenge], _ credentials: RegistryCredentials?, _ place: Place
    ) async throws -> String? {
        if let token = credentials?.registryToken, !token.isEmpty { return "Bearer \(token)" }
        for challenge in challenges {
            if challenge.scheme == "bearer" { return "Bearer \(try await token(challenge, credentials, place))" }
            if challenge.scheme == "basic", let credentials, !credentials.username.isEmpty { return credentials.basic }
        }
        return nil
    }

    private func token(
        _ challenge: AuthChallenge, _ credentials: RegistryCredentials?, _ place: Place
    ) async throws -> String {
        guard let text = challenge["realm"], let realm = WebAddress(text) else {
            throw RegistryFailure("\(place.endpoint): names no usable token server: \"\(challenge["realm"] ?? "")\"")
        }
        var query = challenge["service"].map { [("service", $0)] } ?? []
        query += place.scopes.map { ("scope", $0) }
        let response: any ResponseStream
        if let credentials, !credentials.isEmpty, place.endpoint.origin.isSecure, !realm.origin.isSecure {
            throw RegistryFailure("\(realm.origin): credentials are not sent to a token server without TLS")
        }
        if let credentials, !credentials.identityToken.isEmpty {
            query += [
                ("grant_type", "refresh_token"), ("refresh_token", credentials.identityToken), ("client_id", "lab"),
            ]
            let form = WebAddress(realm.origin, "").adding(query: query).target.dropFirst()
            response = try await web.send(
                "POST", realm, Headers([("Content-Type", "application/x-www-form-urlencoded")]), body: Array(form.utf8))
        } else {
            var headers = Headers()
            if let credentials, !credentials.username.isEmpty {
                headers.add("Authorization", credentials.basic)
                query.append(("account", credentials.username))
            }
            response = try await follow("GET", realm.adding(query: query), headers, body: [])
        }
        guard response.status == 200 else {
            throw await RegistryFailure(refusal: response, of: "token from \(realm.origin)")
        }
        let body = try await response.collect(limit: 1 << 20)
        let answer = try? Document(json: body)
        guard let token = answer?.text("token") ?? answer?.text("access_token"),
            token.utf8.allSatisfy({ (33...126).contains($0) }), !token.isEmpty
        else { throw RegistryFailure("\(realm.origin): answers without a token") }
        return token
    }

    // MARK: Manifests

    struct Fetched: Sendable {
        var place: Place
        var digest: Digest
        var bytes: [UInt8]
    }

    static let accepted = [
        "application/vnd.oci.image.index.v1+json", Manifest.mediaType,
        "application/vnd.docker.distribution.manifest.list.v2+json", Manifest.dockerMediaType,
    ]

    /// The places where the images of a reference are asked for, in order.
    func places(of reference: Reference, actions: String = "pull") -> [Place] {
        settings.endpoints(of: reference.host).map {
            Place(endpoint: $0, host: reference.host, path: reference.path, actions: actions)
        }
    }

    /// The manifest or index that the reference means, from the first place that has it.
    func manifest(_ reference: Reference) async throws -> Fetched {
        try await firstOf(places(of: reference)) { place in
            try await self.manifest(reference.digest?.description ?? reference.tag ?? "latest", in: place)
        }
    }

    /// `name` is a tag or a digest.
    func manifest(_ name: String, in place: Place) async throws -> Fetched {
        try await plan.run(clock: clock, random: random) { _ in
            let address = place.address("manifests/\(name)")
            let headers = Headers([("Accept", Self.accepted.joined(separator: ", "))])
            let response = try await self.send("GET", address, in: place, headers)
            guard response.status == 200 else {
                throw await RegistryFailure(refusal: response, of: "\(place.endpoint)")
            }
            let bytes: [UInt8]
            do { bytes = try await response.collect(limit: Int(ContentStore.mostMetadata)) } catch is BodyTooLarge {
                throw RegistryFailure(
                    "\(place.endpoint): the manifest is longer than \(ContentStore.mostMetadata) bytes")
            }
            let digest = Digest.of(bytes)
            for claimed in [name.contains(":") ? name : nil, response.headers["Docker-Content-Digest"]] {
                guard let claimed, claimed.hasPrefix("sha256:"), claimed != digest.description else { continue }
                throw RegistryFailure(
                    "\(place.endpoint): the manifest has the digest \(digest), not \(claimed)", status: 200)
            }
            return Fetched(place: place, digest: digest, bytes: bytes)
        }
    }

    /// Asks in turn. Once a registry itself, not a mirror, has answered, nobody else can know better; and that it did
    /// not answer over TLS, where plain HTTP is allowed, is not worth telling then.
    func firstOf<T: Sendable>(_ places: [Place], _ body: @Sendable (Place) async throws -> T) async throws -> T {
        var problems: [(text: String, isMirror: Bool)] = []
        for place in places {
            do { return try await body(place) } catch let error as CancellationError {
                throw error
            } catch {
                // What is wrong on this side is wrong everywhere.
                if let error = error as? SystemError, [ENOSPC, EDQUOT, EROFS, EACCES].contains(error.errno) {
                    throw error
                }
                let text = "\(error)"
                let name = "\(place.endpoint)"
                let problem = text.hasPrefix(name) ? text : "\(name): \(text)"
                if let failure = error as? RegistryFailure, failure.status != nil, !place.endpoint.isMirror {
                    problems = problems.filter(\.isMirror) + [(problem, false)]
                    break
                }
                problems.append((problem, place.endpoint.isMirror))
                // A certificate that is not to be believed is no reason to go on without any.
                if !place.endpoint.isMirror, error is OpenSSLError, text.contains("certificate") { break }
            }
        }
        throw RegistryFailure(problems.map(\.text).joined(separator: "; "))
    }
}
