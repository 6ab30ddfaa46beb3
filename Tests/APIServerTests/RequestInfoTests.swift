import Testing

@testable import APIServer

@Suite struct RequestInfoTests {
    @Test(arguments: [
        ("GET", "/api/v1/pods", "list", "", "pods", "", ""),
        ("GET", "/api/v1/pods?watch=true", "watch", "", "pods", "", ""),
        ("GET", "/api/v1/watch/pods", "watch", "", "pods", "", ""),
        ("GET", "/api/v1/namespaces/a/pods/b", "get", "a", "pods", "b", ""),
        ("GET", "/api/v1/namespaces/a/pods/b/log?follow=true", "get", "a", "pods", "b", "log"),
        ("POST", "/apis/apps/v1/namespaces/a/deployments", "create", "a", "deployments", "", ""),
        ("PUT", "/api/v1/namespaces/a/finalize", "update", "a", "namespaces", "a", "finalize"),
        ("GET", "/api/v1/namespaces/a", "get", "a", "namespaces", "a", ""),
        ("GET", "/api/v1/namespaces", "list", "", "namespaces", "", ""),
        ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection", "a", "pods", "", ""),
        ("PATCH", "/api/v1/nodes/n/status", "patch", "", "nodes", "n", "status"),
    ])
    func resourcesAreRead(
        method: String, target: String, verb: String, namespace: String, resource: String, name: String,
        subresource: String
    ) {
        let info = RequestInfo(method: method, target: target)
        #expect(info.isResource)
        #expect(info.verb == verb)
        #expect(info.namespace == namespace)
        #expect(info.resource == resource)
        #expect(info.name == name)
        #expect(info.subresource == subresource)
    }

    @Test(arguments: ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/openapi/v3/api/v1"])
    func otherPathsAreNoResources(target: String) {
        let info = RequestInfo(method: "GET", target: target)
        #expect(!info.isResource)
        #expect(info.verb == "get")
        #expect(info.path == target)
    }

    @Test func aProxyKeepsTheRestOfThePath() {
        let info = RequestInfo(method: "GET", target: "/api/v1/namespaces/a/services/http:web:80/proxy/x/y?z=1%2C2")
        #expect(info.name == "http:web:80")
        #expect(info.rest == "x/y")
        #expect(info.query["z"] == "1,2")
    }
}
