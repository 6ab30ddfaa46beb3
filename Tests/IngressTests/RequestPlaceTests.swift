import Testing

@testable import Ingress

@Suite struct RequestPlaceTests {
    @Test(arguments: [
        ("/", "/"), ("", "/"), ("/a/b", "/a/b"), ("/a/b/", "/a/b/"), ("/a//b", "/a/b"), ("/a/./b", "/a/b"),
        ("/a/../b", "/b"), ("/a/..", "/"), ("/a/b/.", "/a/b/"), ("/%61dmin", "/admin"), ("/a%2Fb", "/a/b"),
        ("/a/%2e%2e/b", "/b"), ("/.hidden", "/.hidden"), ("/a/...", "/a/..."), ("/ä", "/ä"), ("/a%20b", "/a b"),
    ])
    func pathsHaveOneForm(_ written: String, _ path: String) {
        #expect(RequestPlace.normalized(written[...].utf8) == path)
    }

    @Test(arguments: ["/..", "/a/../../b", "/%2e%2e/", "/%", "/%4", "/%zz", "/a%00b", "/a%0d%0ab"])
    func whatLeadsOutIsRefused(_ written: String) {
        #expect(RequestPlace.normalized(written[...].utf8) == nil)
    }

    @Test func targetsComeInSeveralForms() throws {
        let plain = try #require(RequestPlace(target: "/a?b=/../c", host: "Web.Example.:8080"))
        #expect(plain.host == "web.example" && plain.path == "/a" && plain.query == "?b=/../c")
        #expect(plain.target == "/a?b=/../c")
        let absolute = try #require(RequestPlace(target: "http://other.example:80/x?y", host: "web.example"))
        #expect(absolute.host == "other.example" && absolute.path == "/x" && absolute.target == "/x?y")
        let bare = try #require(RequestPlace(target: "HTTP://other.example", host: nil))
        #expect(bare.path == "/" && bare.target == "/")
        #expect(RequestPlace(target: "*", host: "a")?.target == "*")
        #expect(RequestPlace(target: "/", host: "[::1]:80")?.host == "::1")
        #expect(RequestPlace(target: "a/b", host: "a") == nil)
        #expect(RequestPlace(target: "ftp://a/b", host: "a") == nil)
    }

    @Test func escapingIsUndoneByReading() {
        let path = "/a b/ä?#%"
        let text = RequestPlace.escaped(path)
        #expect(text == "/a%20b/%C3%A4%3F%23%25")
        #expect(RequestPlace.normalized(text[...].utf8) == path)
    }
}
