import Basics
import Document
import Testing
import Wire

@testable import Images

@Suite struct RegistryNameTests {
    @Test(arguments: [
        ("localhost:5000/app", "localhost:5000", "app"), ("nginx", "docker.io", "library/nginx"),
        ("registry-1.docker.io/a/b", "docker.io", "a/b"), ("[::1]:5000/app:v1", "[::1]:5000", "app"),
        ("Quay.io/team/app", "Quay.io", "team/app"),
    ])
    func hostsAndPaths(text: String, host: String, path: String) throws {
        let reference = try Reference(text)
        #expect(reference.host == host)
        #expect(reference.path == path)
    }

    @Test func readsChallenges() {
        let field = #"Bearer realm="https://a/t?x=1,2",service="reg \"q\"",scope="repository:a:pull", Basic realm=me"#
        #expect(
            AuthChallenge.parse(field) == [
                AuthChallenge(
                    scheme: "bearer",
                    parameters: [
                        "realm": "https://a/t?x=1,2", "service": "reg \"q\"", "scope": "repository:a:pull",
                    ]),
                AuthChallenge(scheme: "basic", parameters: ["realm": "me"]),
            ])
        #expect(AuthChallenge.parse("") == [])
        #expect(AuthChallenge.parse("Negotiate") == [AuthChallenge(scheme: "negotiate", parameters: [:])])
        #expect(AuthChallenge.parse("Bearer realm=\"open") == [AuthChallenge(scheme: "bearer", parameters: [:])])
        #expect(AuthChallenge.parse("= , =") == [])
    }
}

@Suite struct ProxyTests {
    private func proxy(_ environment: [String: String], _ url: String) throws -> String? {
        let origin = try #require(WebAddress(url)).origin
        return try ProxySettings(environment: environment).proxy(for: origin)?.address.description
    }

    @Test(arguments: [
        ("https://quay.io", "http://p:3128"), ("http://quay.io", "http://q/"), ("https://a.corp", nil),
        ("https://corp", "http://p:3128"), ("https://x.only", nil), ("https://only", nil), ("https://10.1.2.3", nil),
        ("https://11.1.2.3", "http://p:3128"), ("https://port:8443", nil), ("https://port", "http://p:3128"),
        ("http://localhost:5000", nil), ("http://127.0.0.9:5000", nil),
    ])
    func chooses(url: String, expected: String?) throws {
        let environment = [
            "HTTPS_PROXY": "http://p:3128", "https_proxy": "http://lost", "http_proxy": "q:80/",
            "NO_PROXY": ".corp, only,10.0.0.0/8,port:8443",
        ]
        #expect(try proxy(environment, url) == expected)
    }

    @Test func namesAndRefusals() throws {
        let origin = try #require(WebAddress("https://quay.io")).origin
        let settings = ProxySettings(environment: ["HTTPS_PROXY": "http://me:p%40ss@p:3128"])
        #expect(try settings.proxy(for: origin)?.authorization == "Basic " + Base64.encode(Array("me:p@ss".utf8)))
        #expect(try ProxySettings(environment: ["NO_PROXY": "*", "ALL_PROXY": "http://p"]).proxy(for: origin) == nil)
        #expect(try ProxySettings().proxy(for: origin) == nil)
        let socks = ProxySettings(environment: ["ALL_PROXY": "socks5://me:secret@p:1080"])
        let error = #expect(throws: ImageError.self) { try socks.proxy(for: origin) }
        #expect("\(error?.description ?? "")".contains("secret") == false)
    }
}

@Suite struct CredentialTests {
    private func set(_ json: String) throws -> CredentialSet {
        try CredentialSet(file: try Document(json: json), in: "test")
    }

    private func auth(_ text: String) -> String { Base64.encode(Array(text.utf8)) }

    @Test func theMostSpecificComesFirst() throws {
        let set = try set(
            """
            {"auths": {"https://index.docker.io/v1/": {"auth": "\(auth("hub:a:b"))"},
            "quay.io": {"username": "all", "password": "1"}, "quay.io/team": {"username": "team", "password": "2"},
            "*.azurecr.io": {"username": "star", "password": "3"}, "reg:5000": {"username": "port", "password": "4"},
            "token.io": {"identitytoken": "T"}, "empty.io": {}}}
            """)
        func users(_ repository: String) -> [String] { set.candidates(for: repository).map(\.username) }
        #expect(users("docker.io/library/nginx") == ["hub"])
        #expect(set.candidates(for: "docker.io/library/nginx").first?.password == "a:b")
        #expect(users("quay.io/team/app") == ["team", "all"])
        #expect(users("quay.io/teamwork/app") == ["all"])
        #expect(users("x.azurecr.io/app") == ["star"])
        #expect(users("a.x.azurecr.io/app") == [])
        #expect(users("reg:5000/app") == ["port"])
        #expect(users("reg:5001/app") == [])
        #expect(set.candidates(for: "token.io/a").first?.identityToken == "T")
        #expect(users("empty.io/a") == [])
    }

    @Test func severalSecretsForOneRegistryTravel() throws {
        var all = CredentialSet(host: "r:1", RegistryCredentials(username: "a", password: "1"))
        all.add(CredentialSet(host: "r:1", RegistryCredentials(username: "b", password: "2:3")))
        let copy = try CredentialSet(list: try Document(json: all.list.json), in: "test")
        #expect(copy.candidates(for: "r:1/x") == all.candidates(for: "r:1/x"))
        #expect(copy.candidates(for: "r:1/x").map(\.password) == ["1", "2:3"])
    }

    @Test func wrongFilesAreNamed() throws {
        #expect(throws: ImageError("test", "a.io: \"auth\" is not user:password in base64")) {
            try set(#"{"auths": {"a.io": {"auth": "%%%"}}}"#)
        }
        #expect(throws: ImageError("test", "no JSON object")) { try set("[]") }
        #expect(try CredentialSet(path: "/nonexistent/config.json").isEmpty)
        #expect(
            CredentialSet.places(environment: ["HOME": "/h", "XDG_RUNTIME_DIR": "/r"]) == [
                "/r/containers/auth.json", "/h/.config/containers/auth.json", "/h/.docker/config.json",
            ])
    }
}

@Suite struct RegistrySettingsTests {
    @Test func mirrorsComeBeforeTheRegistry() throws {
        let text = """
            mirrors:
              docker.io:
                endpoint: ["https://mirror:5000/hub/v2", "http://other"]
              "*":
                endpoint: ["https://all"]
            configs:
              "mirror:5000":
                auth: {username: me, password: secret}
                tls: {insecure_skip_verify: true}
              lax: {tls: {insecure_skip_verify: true}}
            """
        let settings = try RegistrySettings(yaml: Array(text.utf8), name: "registries.yaml")
        func endpoints(_ host: String) -> [String] { settings.endpoints(of: host).map(\.description) }
        #expect(
            endpoints("docker.io") == ["https://mirror:5000/hub", "http://other", "https://registry-1.docker.io"])
        #expect(endpoints("quay.io") == ["https://all", "https://quay.io"])
        #expect(endpoints("localhost:5000") == ["https://all", "https://localhost:5000", "http://localhost:5000"])
        #expect(endpoints("lax") == ["https://all", "https://lax", "http://lax"])
        #expect(settings.credentials.candidates(for: "mirror:5000/x").map(\.username) == ["me"])
    }

    @Test(arguments: [
        ("mirror: {}", "line 1, column 1: unknown field 'mirror'"),
        ("mirrors:\n  a.io: {rewrite: {}}", "line 2, column 10: 'rewrite' of a mirror is not supported"),
        ("mirrors:\n  a.io: {endpoint: [ftp://x]}", "'ftp://x' is no http:// or https:// URL"),
        ("configs: {a.io: {tls: {ca: x}}}", "unknown field 'ca'"), ("mirrors: [", "r.yaml: "),
    ])
    func refuses(text: String, words: String) {
        let error = #expect(throws: ImageError.self) { try RegistrySettings(yaml: Array(text.utf8), name: "r.yaml") }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        ("linux/amd64", "amd64"), ("linux/arm64", "arm64v8"), ("linux/arm/v7", "armv7"), ("arm/v6", nil),
        ("linux/arm/v6", "armv6"), ("linux/s390x", nil),
    ])
    func choosesPlatforms(text: String, digest: String?) throws {
        let index = try Document(
            json: """
                [{"digest": "attest", "platform": {"os": "unknown", "architecture": "unknown"}},
                {"digest": "armv6", "platform": {"os": "linux", "architecture": "arm", "variant": "v6"}},
                {"digest": "armv7", "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
                {"digest": "amd64", "platform": {"os": "linux", "architecture": "amd64"}},
                {"digest": "win", "platform": {"os": "windows", "architecture": "amd64"}},
                {"digest": "arm64v8", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}]
                """)
        #expect(try Platform(text).best(of: index.elements)?.text("digest") == digest)
    }

    @Test func pausesGrowAndObey() {
        struct Half: Randomness { func next() -> UInt64 { 0 } }
        let plan = RetryPlan()
        let pauses = (1...6).map { plan.pause(before: $0, after: RegistryFailure("x"), random: Half()) }
        #expect(pauses.first == .milliseconds(375))
        #expect(zip(pauses, pauses.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(pauses.last == .seconds(6))
        var asked = RegistryFailure("x", status: 429)
        asked.retryAfter = .seconds(7)
        #expect(plan.pause(before: 1, after: asked, random: Half()) == .seconds(7))
        #expect(RegistryFailure.isTransient(asked))
        #expect(!RegistryFailure.isTransient(RegistryFailure("x", status: 404)))
        #expect(!RegistryFailure.isTransient(ImageError("x", "y")))
    }
}
