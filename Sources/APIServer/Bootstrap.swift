import Basics
import Document
import Kinds
import Schema
import Store
import Wire

// What a cluster has from the start, and what the server does by itself while it runs.

extension APIServer {
    /// Makes the namespaces, roles, priority classes and Services that every cluster has. What exists stays as it is.
    public func bootstrap() async throws {
        for object in Kinds.bootstrapNamespaceObjects() { try await ensure(object) }
        for object in Kinds.bootstrapRBAC() { try await ensure(object) }
        for object in Kinds.bootstrapPriorityClasses() { try await ensure(object) }
        try await FairnessKeeper(server: self).ensureObjects()
        try await ensureServiceRange()
        try await ensure(kubernetesService)
        if let address = configuration.dnsAddress { try await ensure(Self.dnsService(address)) }
        if !configuration.clientCA.isEmpty { try await apply(clientAuthority) }
        try await resources.repairAddresses()
        try await publishEndpoints()
        try await custom.load()
        _ = try await aggregator.load()
        paths.noteBootstrapped()
    }

    /// The ranges that the server itself gives Services their addresses from, as an object that clients can read.
    private func ensureServiceRange() async throws {
        let object: Document = [
            "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": ["name": "kubernetes"],
            "spec": ["cidrs": [Document(configuration.serviceCIDR.description)]],
        ]
        try await ensure(object)
        let main = try call("PUT", object)
        let status = main.about(main.resource, name: main.name, subresource: "status")
        _ = try await resources.change(status, dryRun: false) { old in
            var new = old.withoutRevision
            guard new.list("status", "conditions").isEmpty else { return new }
            let ready: Document = [
                "type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready",
                "lastTransitionTime": Document(world.clock.now.description),
            ]
            new.set([ready], at: "status", "conditions")
            return new
        }
    }

    /// Where other servers of the cluster find the authority that signs the clients' certificates, and by what they
    /// know this server when it tells them who asks. Lists are JSON within the text.
    private var clientAuthority: Document {
        var data: Document = ["client-ca-file": Document(String(decoding: configuration.clientCA, as: UTF8.self))]
        if let proxy = configuration.proxyClient {
            data["requestheader-client-ca-file"] = Document(String(decoding: proxy.authority, as: UTF8.self))
            for (key, value) in [
                ("allowed-names", APIServerConfiguration.ProxyClient.name), ("extra-headers-prefix", "X-Remote-Extra-"),
                ("group-headers", "X-Remote-Group"), ("uid-headers", "X-Remote-Uid"),
                ("username-headers", "X-Remote-User"),
            ] { data["requestheader-\(key)"] = Document(Document([Document(value)]).jsonText) }
        }
        return [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": ["name": "extension-apiserver-authentication", "namespace": "kube-system"], "data": data,
        ]
    }

    /// Acts as the server's own user, through the same registry as everybody.
    func call(_ method: String, _ object: Document) throws -> Call {
        let parts = (object.text("apiVersion") ?? "").split(separator: "/").map(String.init)
        let (group, version) = parts.count == 2 ? (parts[0], parts[1]) : ("", parts.first ?? "")
        let kind = object.text("kind") ?? ""
        guard let resource = resources.registry.resource(group: group, version: version, kind: kind) else {
            throw APIStatus.internalError("\(kind) in \(group)/\(version) is not served")
        }
        let root = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        let namespace = object.text("metadata", "namespace").map { "/namespaces/\($0)" } ?? ""
        var target = "\(root)\(namespace)/\(resource.plural)"
        if method != "POST" { target += "/\(object.text("metadata", "name") ?? "")" }
        let request = Request(method, target)
        var call = Call(
            request: request, info: RequestInfo(request),
            user: UserInfo(name: "system:apiserver", groups: ["system:masters", "system:authenticated"]),
            resource: resource, media: MediaType())
        // Webhooks may run in the very cluster that this is about to serve.
        call.isInternal = true
        return call
    }

    func ensure(_ object: Document) async throws {
        do {
            _ = try await resources.create(object, try call("POST", object), dryRun: false)
        } catch let status as APIStatus where status.isAlreadyExists {
            return
        }
    }

    private var kubernetesService: Document {
        [
            "apiVersion": "v1", "kind": "Service",
            "metadata": [
                "name": "kubernetes", "namespace": "default",
                "labels": ["component": "apiserver", "provider": "kubernetes"],
            ],
            "spec": [
                "clusterIP": Document(configuration.serviceCIDR.address(at: 1)?.description ?? ""), "type": "ClusterIP",
                "ports": [
                    [
                        "name": "https", "port": 443, "protocol": "TCP",
                        "targetPort": Document(Int(configuration.advertisePort)),
                    ]
                ],
            ],
        ]
    }

    private static func dnsService(_ address: IPAddress) -> Document {
        [
            "apiVersion": "v1", "kind": "Service",
            "metadata": [
                "name": "kube-dns", "namespace": "kube-system",
                "labels": [
                    "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS",
                    "lab.dev/node-local": "true",
                ],
            ],
            "spec": [
                "clusterIP": Document(address.description), "type": "ClusterIP",
                "ports": [
                    ["name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53],
                    ["name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53],
                    ["name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153],
                ],
            ],
        ]
    }

    /// Endpoints and EndpointSlice of the Service `kubernetes`: this server's own address.
    private func publishEndpoints() async throws {
        // Behind a loopback address nothing could be reached from a pod, and Endpoints refuse it.
        if configuration.advertiseAddress.isLoopback { return }
        let address = Document(configuration.advertiseAddress.description)
        let port: Document = ["name": "https", "port": Document(Int(configuration.advertisePort)), "protocol": "TCP"]
        try await apply([
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": [
                "name": "kubernetes", "namespace": "default",
                "labels": ["endpointslice.kubernetes.io/skip-mirror": "true"],
            ],
            "subsets": [["addresses": [["ip": address]], "ports": [port]]],
        ])
        try await apply([
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": [
                "name": "kubernetes", "namespace": "default", "labels": ["kubernetes.io/service-name": "kubernetes"],
            ],
            "addressType": configuration.advertiseAddress.isIPv6 ? "IPv6" : "IPv4",
            "endpoints": [["addresses": [address], "conditions": ["ready": true]]], "ports": [port],
        ])
    }

    private func apply(_ object: Document) async throws {
        try await ensure(object)
        _ = try await resources.change(try call("PUT", object), dryRun: false) { old in
            var new = object
            new["metadata"] = old["metadata"]
            return new.withoutRevision
        }
    }

    /// What the server does by itself until cancelled.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.upkeep() }
            group.addTask { try await self.aggregator.run(self.aggregatorWriter) }
            group.addTask { try await self.custom.run(cleaning: self.removeObjects) }
            group.addTask { try await FairnessKeeper(server: self).run() }
            group.addTask { try await self.noteLegacyTokens() }
            try await group.next()
            group.cancelAll()
        }
    }

    /// What has to be done again and again: forgetting the past, dropping old events, and keeping the server's own
    /// endpoints.
    private func upkeep() async throws {
        var past: [(time: Duration, revision: Revision)] = []
        var round = 0
        while true {
            past.append((world.clock.uptime, await store.revision))
            let horizon = world.clock.uptime - configuration.historyWindow
            let old = past.filter { $0.time <= horizon }
            past.removeFirst(max(0, old.count - 1))
            do {
                if let newest = old.last { try await store.compact(before: newest.revision) }
                if round % 5 == 0 {
                    try await expireEvents()
                    try await resources.repairAddresses()
                }
                try await publishEndpoints()
            } catch let error as CancellationError {
                throw error
            } catch {
                log.warning("background work: \(error)")
            }
            round += 1
            try await world.clock.sleep(for: .seconds(60))
        }
    }

    /// Events have a limited life. The time counts from their last write, as far as they tell it.
    private func expireEvents() async throws {
        guard let resource = resources.registry.resource(group: "", version: "v1", plural: "events") else { return }
        let horizon = world.clock.now + .zero - configuration.eventLifetime
        let page = try await store.list(prefix: ObjectCodec.prefix(resource), after: nil, limit: nil, at: nil)
        for record in page.records {
            let event = try ObjectCodec.document(record.value, resource)
            let times = [
                event.text("series", "lastObservedTime"), event.text("lastTimestamp"), event.text("eventTime"),
                event.text("metadata", "creationTimestamp"),
            ].compactMap { $0.flatMap { Timestamp(rfc3339: $0) } }
            guard let newest = times.max(), newest < horizon else { continue }
            do {
                _ = try await store.delete(record.key, expected: record.revision, ObjectCodec.encoding(event))
            } catch StoreError.conflict, StoreError.notFound { continue }
        }
    }
}

extension Timestamp {
    fileprivate static func - (time: Timestamp, span: Duration) -> Timestamp { time + (.zero - span) }
}
