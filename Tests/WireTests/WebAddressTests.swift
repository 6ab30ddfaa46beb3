import Testing
import Wire

@Suite struct WebAddressTests {
    @Test(arguments: [
        ("https://a.example", "https://a.example", ""), ("http://A.example:80/x?y=1", "http://a.example", "/x?y=1"),
        ("http://[::1]:5000/v2/", "http://[::1]:5000", "/v2/"), ("https://a:444?q", "https://a:444", "/?q"),
    ])
    func readsAddresses(text: String, origin: String, target: String) {
        let address = WebAddress(text)
        #expect(address?.origin.description == origin)
        #expect(address?.target == target)
    }

    @Test(arguments: [
        "ftp://a", "https://", "https://u:p@a/", "https://a b/", "https://a:99999/", "https://[x]/", "a/b",
    ])
    func refusesAddresses(text: String) { #expect(WebAddress(text) == nil) }

    @Test(arguments: [
        ("/v2/x", "https://a/v2/x"), ("https://b/y", "https://b/y"), ("//c/z", "https://c/z"),
        ("?n=1", "https://a/v2/up/1?n=1"), ("2", "https://a/v2/up/2"),
    ])
    func resolvesLocations(location: String, expected: String) throws {
        let address = try #require(WebAddress("https://a/v2/up/1?s=0"))
        #expect(address.resolving(location)?.description == expected)
        #expect(address.resolving("gopher://x/ y") == nil)
    }
}
