import Basics
import Document
import Kinds
import Schema
import Synchronization

/// Cluster addresses and node ports of Services: each is given out once.
///
/// What is taken follows from the Services in the store; it is read once, at the first use, and then kept in step by
/// the writes that pass here. A lock instead of an actor: claims are a few set operations and must not interleave.
final class ServiceAllocations: Sendable {
    private struct State {
        var isLoaded = false
        /// Further ranges, from ServiceCIDR objects; nil when they have to be read again.
        var ranges: [CIDR]?
        var addresses: Set<IPAddress> = []
        var ports: Set<Int> = []
    }

    private let range: CIDR
    private let portRange = 30_000...32_767
    private let random: any Randomness
    private let state = Mutex(State())

    init(range: CIDR, random: any Randomness) {
        self.range = range
        self.random = random
    }

    /// What one write has taken and given up; `keep` or `release` decides which of it counts.
    struct Claim: Sendable {
        /// A dry run takes nothing, and shows numbers that stand for those that would be drawn.
        fileprivate var isTrial = false
        fileprivate var owner: ServiceAllocations?
        fileprivate(set) var taken: Set<IPAddress> = []
        /// Taken by an IPAddress object, which needs no further one.
        fileprivate var reserved: Set<IPAddress> = []
        fileprivate var takenPorts: Set<Int> = []
        fileprivate(set) var dropped: Set<IPAddress> = []
        fileprivate var droppedPorts: Set<Int> = []

        /// The write took effect.
        func keep() { owner?.settle(freed: dropped, ports: droppedPorts) }
        /// The write did not take effect.
        func release() { owner?.settle(freed: taken.union(reserved), ports: takenPorts) }
        /// The write was a deletion.
        func releaseAll(of service: Document) {
            owner?.settle(freed: taken, ports: takenPorts)
            if let owner { owner.free(service) }
        }
    }

    private func settle(freed: Set<IPAddress>, ports: Set<Int>) {
        state.withLock { state in
            state.addresses.subtract(freed)
            state.ports.subtract(ports)
        }
    }

    /// Frees what a deleted object had.
    func release(_ object: Document, resource: ResourceInfo) {
        switch resource.qualifiedName {
        case "services": free(object)
        case "ipaddresses.networking.k8s.io":
            guard let address = Self.reserved(by: object) else { return }
            settle(freed: [address], ports: [])
        default: break
        }
    }

    /// The address that an IPAddress object keeps from being given out; those of Services count with the Service.
    private static func reserved(by object: Document) -> IPAddress? {
        let parent = object.at("spec", "parentRef")
        if parent?.text("resource") == "services", (parent?.text("group") ?? "").isEmpty { return nil }
        return object.text("metadata", "name").flatMap { IPAddress($0) }
    }

    /// Those of `addresses` that are not given out.
    func unknown(_ addresses: Set<IPAddress>) -> Set<IPAddress> {
        state.withLock { addresses.subtracting($0.addresses) }
    }

    private func free(_ service: Document) {
        settle(freed: Self.addresses(of: service), ports: Self.ports(of: service))
    }

    static func addresses(of service: Document) -> Set<IPAddress> {
        Set(service.list("spec", "clusterIPs").compactMap { $0.string.flatMap { IPAddress($0) } })
            .union(service.text("spec", "clusterIP").flatMap { IPAddress($0) }.map { [$0] } ?? [])
    }

    private static func ports(of service: Document) -> Set<Int> {
        var ports = Set(service.list("spec", "ports").compactMap { $0.number("nodePort") })
        if let health = service.number("spec", "healthCheckNodePort") { ports.insert(health) }
        return ports.subtracting([0])
    }

    private func load(_ resources: Resources) async throws {
        let (isLoaded, hasRanges) = state.withLock { ($0.isLoaded, $0.ranges != nil) }
        if !hasRanges {
            let ranges = try await resources.objects("servicecidrs", group: "networking.k8s.io").flatMap(usable)
            state.withLock { $0.ranges = ranges }
        }
        if isLoaded { return }
        let services = try await resources.objects("services")
        let reserved = try await resources.objects("ipaddresses", group: "networking.k8s.io").compactMap(Self.reserved)
        state.withLock { state in
            guard !state.isLoaded else { return }
            state.addresses.formUnion(reserved)
            for service in services {
                state.addresses.formUnion(Self.addresses(of: service))
                state.ports.formUnion(Self.ports(of: service))
            }
            state.isLoaded = true
        }
    }

    /// The ranges that an object adds: those of the cluster's address family, once they are ready and while they stay.
    private func usable(_ object: Document) -> [CIDR] {
        let isReady = object.list("status", "conditions").contains {
            $0.text("type") == "Ready" && $0.text("status") == "True"
        }
        guard isReady, object.text("metadata", "deletionTimestamp") == nil else { return [] }
        return object.list("spec", "cidrs").compactMap { $0.string.flatMap { CIDR($0) } }.filter {
            $0.base.isIPv6 == range.base.isIPv6 && $0 != range
        }
    }

    /// A ServiceCIDR has changed.
    func forgetRanges() { state.withLock { $0.ranges = nil } }

    /// Completes a Service with addresses and ports of its own, and takes those that it names.
    func claim(
        for object: inout Document, old: Document?, resource: ResourceInfo, resources: Resources, dryRun: Bool
    ) async throws -> Claim {
        guard resource.qualifiedName == "services" else {
            return try await reserve(object, resource, resources, isNew: old == nil)
        }
        try await load(resources)
        var claim = Claim(isTrial: dryRun)
        claim.owner = self
        let result = state.withLock { state -> Result<Document, APIStatus> in
            var draft = object
            do throws(APIStatus) {
                try allocate(&draft, old: old, &state, &claim)
                return .success(draft)
            } catch {
                state.addresses.subtract(claim.taken)
                state.ports.subtract(claim.takenPorts)
                return .failure(error)
            }
        }
        object = try result.get()
        return claim
    }

    /// An IPAddress object takes its address out of what Services can get.
    private func reserve(
        _ object: Document, _ resource: ResourceInfo, _ resources: Resources, isNew: Bool
    ) async throws -> Claim {
        var claim = Claim()
        guard isNew, resource.qualifiedName == "ipaddresses.networking.k8s.io",
            let address = Self.reserved(by: object)
        else { return claim }
        try await load(resources)
        claim.owner = self
        if state.withLock({ $0.addresses.insert(address).inserted }) { claim.reserved = [address] }
        return claim
    }

    private func allocate(
        _ service: inout Document, old: Document?, _ state: inout State, _ claim: inout Claim
    ) throws(APIStatus) {
        let type = service.text("spec", "type") ?? "ClusterIP"
        let before = old.map(Self.addresses) ?? []
        let portsBefore = old.map(Self.ports) ?? []
        if type == "ExternalName" {
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                service.set(nil, at: "spec", field)
            }
        } else {
            try allocateAddress(&service, before, &state, &claim)
        }
        if type == "NodePort" || type == "LoadBalancer" {
            try allocatePorts(&service, type, old == nil ? .none : portsBefore, &state, &claim)
        } else {
            let ports = service.list("spec", "ports").map { port in
                var port = port
                port["nodePort"] = nil
                return port
            }
            if !ports.isEmpty { service.set(Document(ports), at: "spec", "ports") }
        }
        claim.dropped = before.subtracting(Self.addresses(of: service))
        claim.droppedPorts = portsBefore.subtracting(Self.ports(of: service))
    }

    private func allocateAddress(
        _ service: inout Document, _ before: Set<IPAddress>, _ state: inout State, _ claim: inout Claim
    ) throws(APIStatus) {
        let given = service.text("spec", "clusterIP") ?? ""
        let name = service.text("metadata", "name") ?? ""
        try checkAddresses(service, name)
        try checkFamilies(service, name)
        if service.at("spec", "ipFamilyPolicy") == nil { service.set("SingleStack", at: "spec", "ipFamilyPolicy") }
        if service.at("spec", "ipFamilies") == nil {
            service.set([Document(family)], at: "spec", "ipFamilies")
        }
        guard given != "None" else {
            service.set("None", at: "spec", "clusterIP")
            service.set(["None"], at: "spec", "clusterIPs")
            return
        }
        let address: IPAddress
        if given.isEmpty, claim.isTrial {
            address = range.base
        } else if given.isEmpty {
            let taken = state.addresses
            let ranges = [range] + (state.ranges ?? [])
            guard let drawn = ranges.lazy.compactMap({ self.draw(from: $0, taken) }).first else {
                throw .internalError("failed to allocate a serviceIP: range is full")
            }
            address = drawn
        } else {
            func refuse(_ why: String) -> APIStatus {
                .invalid(
                    kind: "Service", group: "", name: name,
                    [.invalid("spec.clusterIPs", Document([given]), "failed to allocate IP \(given): \(why)")])
            }
            guard let wanted = IPAddress(given) else { throw refuse("the provided IP is not valid") }
            guard ([range] + (state.ranges ?? [])).contains(where: { $0.contains(wanted) }) else {
                throw refuse("the provided network does not match the current range")
            }
            if !claim.isTrial, !before.contains(wanted), state.addresses.contains(wanted) {
                throw refuse("provided IP is already allocated")
            }
            address = wanted
        }
        if !claim.isTrial, !before.contains(address), state.addresses.insert(address).inserted {
            claim.taken.insert(address)
        }
        service.set(Document(address.description), at: "spec", "clusterIP")
        service.set([Document(address.description)], at: "spec", "clusterIPs")
    }

    private var family: String { range.base.isIPv6 ? "IPv6" : "IPv4" }

    /// Addresses say which families are wanted where `ipFamilies` does not, and there is only one.
    private func checkAddresses(_ service: Document, _ name: String) throws(APIStatus) {
        let (given, families) = (service.list("spec", "clusterIPs"), service.list("spec", "ipFamilies"))
        var errors: [FieldError] = []
        if service.text("spec", "ipFamilyPolicy") == "SingleStack" {
            for (what, count) in [("cluster IPs", given.count), ("IP families", families.count)] where count == 2 {
                let text = "must be 'RequireDualStack' or 'PreferDualStack' when multiple \(what) are specified"
                errors.append(.invalid("spec.ipFamilyPolicy", "SingleStack", text))
            }
        }
        for (index, text) in given.enumerated().dropFirst(families.count) {
            guard let address = text.string.flatMap({ IPAddress($0) }), address.isIPv6 != range.base.isIPv6 else {
                continue
            }
            let reason = "\(address.isIPv6 ? "IPv6" : "IPv4") is not configured on this cluster"
            errors.append(.invalid("spec.clusterIPs[\(index)]", Document(given), reason))
        }
        if !errors.isEmpty { throw .invalid(kind: "Service", group: "", name: name, errors) }
    }

    /// The cluster has addresses of one family only.
    private func checkFamilies(_ service: Document, _ name: String) throws(APIStatus) {
        var errors: [FieldError] = []
        for (index, wanted) in service.list("spec", "ipFamilies").enumerated() where wanted.string != family {
            errors.append(.invalid("spec.ipFamilies[\(index)]", wanted, "not configured on this cluster"))
        }
        if let policy = service.text("spec", "ipFamilyPolicy"), policy == "RequireDualStack" {
            let text = "this cluster is not configured for dual-stack services"
            errors.append(.invalid("spec.ipFamilyPolicy", Document(policy), text))
        }
        if !errors.isEmpty { throw .invalid(kind: "Service", group: "", name: name, errors) }
    }

    /// A free address. The range's lower part is left to those who ask for a certain address.
    private func draw(from range: CIDR, _ taken: Set<IPAddress>) -> IPAddress? {
        let bits = (range.base.isIPv6 ? 128 : 32) - range.prefix
        let size = bits >= 20 ? 1 << 20 : 1 << bits
        guard size > 2 else { return nil }
        // As upstream: a sixteenth of the range, between 16 and 256 addresses.
        let reserved = size < 32 ? 0 : min(max(16, size / 16), 256)
        let upper = size - 2 - reserved
        let start = random.below(upper)
        for step in 0..<(size - 2) {
            let offset = step < upper ? reserved + 1 + (start + step) % upper : 1 + (step - upper)
            if let address = range.address(at: UInt64(offset)), !taken.contains(address) { return address }
        }
        return nil
    }

    private func allocatePorts(
        _ service: inout Document, _ type: String, _ before: Set<Int>?, _ state: inout State, _ claim: inout Claim
    ) throws(APIStatus) {
        let name = service.text("metadata", "name") ?? ""
        let wantsPorts = type == "NodePort" || service.flag("spec", "allocateLoadBalancerNodePorts") != false
        let given = service.list("spec", "ports")
        var ports: [Document] = []
        // Ports of a new service that have one number and several protocols share their node port.
        var shared: [Int: Int] = [:]
        var own: Set<Int> = []
        for (index, port) in given.enumerated() {
            var port = port
            let number = port.number("port") ?? 0
            var wanted = port.number("nodePort") ?? 0
            if wanted == 0, before == nil {
                wanted =
                    shared[number]
                    ?? given[index...].first { $0.number("port") == number && ($0.number("nodePort") ?? 0) != 0 }?
                    .number("nodePort") ?? 0
            }
            if wanted != 0 {
                let isOwn = before == nil ? shared[number] == wanted : own.contains(wanted)
                if !isOwn { try takePort(wanted, index, name, before ?? [], &state, &claim) }
                port["nodePort"] = Document(wanted)
            } else if wantsPorts {
                wanted = try drawPort(&state, &claim)
                port["nodePort"] = Document(wanted)
            }
            own.insert(wanted)
            if wanted != 0 { shared[number] = shared[number] ?? wanted }
            ports.append(port)
        }
        service.set(Document(ports), at: "spec", "ports")
        if type == "LoadBalancer", service.text("spec", "externalTrafficPolicy") == "Local",
            (service.number("spec", "healthCheckNodePort") ?? 0) == 0
        {
            service.set(Document(try drawPort(&state, &claim)), at: "spec", "healthCheckNodePort")
        }
    }

    private func takePort(
        _ port: Int, _ index: Int, _ name: String, _ before: Set<Int>, _ state: inout State, _ claim: inout Claim
    ) throws(APIStatus) {
        func refuse(_ why: String) -> APIStatus {
            .invalid(
                kind: "Service", group: "", name: name,
                [.invalid("spec.ports[\(index)].nodePort", Document(port), why)])
        }
        guard claim.isTrial || portRange.contains(port) else {
            throw refuse("provided port is not in the valid range. The range of valid ports is 30000-32767")
        }
        if before.contains(port) { return }
        guard state.ports.insert(port).inserted else { throw refuse("provided port is already allocated") }
        claim.takenPorts.insert(port)
    }

    private func drawPort(_ state: inout State, _ claim: inout Claim) throws(APIStatus) -> Int {
        if claim.isTrial {
            let port = max(portRange.upperBound, claim.takenPorts.max() ?? 0) + 1
            claim.takenPorts.insert(port)
            return port
        }
        let start = random.below(portRange.count)
        for step in 0..<portRange.count {
            let port = portRange.lowerBound + (start + step) % portRange.count
            if state.ports.insert(port).inserted {
                claim.takenPorts.insert(port)
                return port
            }
        }
        throw .internalError("failed to allocate a nodePort: range is full")
    }
}
