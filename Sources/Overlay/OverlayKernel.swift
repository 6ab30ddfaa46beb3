import Basics
import Linux

/// Brings one node's kernel to what a plan wants. Always looks at what is really there, so it repairs
/// whatever a crash, or somebody else, left behind.
struct OverlayKernel {
    let namespace: NetworkNamespace?
    let routes: RouteSocket
    let tables: Nftables
    private var rules: OverlayRules?

    init(namespace: NetworkNamespace?) throws {
        self.namespace = namespace
        routes = try RouteSocket(in: namespace)
        tables = try Nftables(in: namespace)
    }

    /// The link that carries the node's own address.
    func uplink(of address: IPAddress) throws -> Link {
        guard let index = try routes.addresses().first(where: { $0.address == address })?.linkIndex,
            let link = try routes.links().first(where: { $0.index == index })
        else { throw SystemErrors.missingLink("with address \(address)") }
        return link
    }

    /// Answers what had to be done, for the log.
    mutating func apply(_ plan: OverlayPlan) throws -> [String] {
        var done: [String] = []
        for step in plan.linkSteps(actual: try routes.link(named: OverlayPlan.linkName)) {
            done.append("link: \(step)")
            try apply(step, plan)
        }
        guard let link = try routes.link(named: OverlayPlan.linkName) else {
            throw SystemErrors.missingLink(OverlayPlan.linkName)
        }
        let change = plan.entries(linkIndex: link.index).difference(
            from: try actualEntries(linkIndex: link.index, own: plan.own))
        try delete(change.delete)
        try add(change.add)
        if !change.delete.isEmpty || !change.add.isEmpty {
            done.append("routes: \(change.delete.routes.count) removed, \(change.add.routes.count) added")
        }
        let wanted = OverlayRules(plan)
        if try rules != wanted || !tables.hasTable(OverlayRules.table) {
            try tables.commit(wanted.batch())
            rules = wanted
            done.append("rules")
        }
        return done
    }

    private func apply(_ step: OverlayPlan.LinkStep, _ plan: OverlayPlan) throws {
        switch step {
        case .create:
            try routes.create(
                NewLink(OverlayPlan.linkName, .vxlan(plan.vxlan), mtu: plan.mtu, mac: plan.own.mac, up: true))
        case .delete:
            guard let link = try routes.link(named: OverlayPlan.linkName) else { return }
            try routes.delete(linkIndex: link.index)
        case .change(let up, let mtu, let mac):
            guard let link = try routes.link(named: OverlayPlan.linkName) else { return }
            try routes.change(linkIndex: link.index, LinkChange(up: up, mtu: mtu, mac: mac))
        }
    }

    private func actualEntries(linkIndex: Int32, own: OverlayNode) throws -> OverlayEntries {
        var found = OverlayEntries()
        found.addresses = Set(
            try routes.addresses().filter { $0.linkIndex == linkIndex && !$0.address.isIPv6 })
        found.routes = Set(
            try routes.routes().filter {
                !$0.destination.base.isIPv6
                    && ($0.linkIndex == linkIndex || $0 == Route.unreachable(own.podNetwork))
            })
        found.neighbours = Set(
            try routes.neighbours().filter { $0.linkIndex == linkIndex && !$0.address.isIPv6 })
        found.forwarding = Set(try routes.forwardingEntries(linkIndex: linkIndex))
        return found
    }

    private func delete(_ entries: OverlayEntries) throws {
        func tolerant(_ body: () throws -> Void) throws {
            do { try body() } catch let error as NetlinkError where error.isMissing {}
        }
        for route in entries.routes { try tolerant { try routes.delete(route) } }
        for neighbour in entries.neighbours { try tolerant { try routes.delete(neighbour) } }
        for entry in entries.forwarding { try tolerant { try routes.delete(entry) } }
        for address in entries.addresses { try tolerant { try routes.delete(address) } }
    }

    private func add(_ entries: OverlayEntries) throws {
        for address in entries.addresses { try routes.replace(address) }
        for entry in entries.forwarding { try routes.replace(entry) }
        for neighbour in entries.neighbours { try routes.replace(neighbour) }
        for route in entries.routes { try routes.replace(route) }
    }

    /// Lets the kernel forward, and keeps it from judging senders by the way that it would answer them:
    /// between nodes and pods the two ways differ. Answers what could not be set.
    func prepareSettings(uplink: String) -> [String] {
        var failures: [String] = []
        func attempt(_ body: () throws -> Void) {
            do { try body() } catch { failures.append("\(error)") }
        }
        func set(_ path: String, _ value: String) {
            attempt {
                if try NetworkSetting.read(path, in: namespace) != value {
                    try NetworkSetting.write(path, value, in: namespace)
                }
            }
        }
        set("ipv4/ip_forward", "1")
        for which in ["all", "default"] {
            // A pod that talks to itself through a service would be told of a shorter way that is none.
            set("ipv4/conf/\(which)/send_redirects", "0")
        }
        // 1 is the strict check, and the larger of `all` and the link's own value counts. Between nodes the ways differ,
        // so only a pod's own link is strict, see `PodLink`.
        set("ipv4/conf/all/rp_filter", "0")
        set("ipv4/conf/default/rp_filter", "0")
        attempt {
            for name in try [uplink] + (routes.link(named: OverlayPlan.linkName).map { [$0.name] } ?? []) {
                let path = "ipv4/conf/\(name)/rp_filter"
                if try NetworkSetting.read(path, in: namespace) == "1" { set(path, "2") }
            }
        }
        return failures
    }
}
