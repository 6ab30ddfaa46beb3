import Basics
import Document
import Linux

/// The files that every container of a pod gets: `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`.
struct PodFiles {
    let pod: Document
    let configuration: KubeletConfiguration
    let addresses: [IPAddress]
    let hostname: String
    /// What the kernel shows, where that is not the short name.
    var kernelHostname: String?

    var hosts: String {
        if pod.flag("spec", "hostNetwork") == true {
            let host = (try? Files.text("/etc/hosts")) ?? "127.0.0.1\tlocalhost\n"
            return "# Kubernetes-managed hosts file (host network).\n" + host + aliases
        }
        var text = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"
        text += "::1\tlocalhost ip6-localhost ip6-loopback\n"
        text += "fe00::\tip6-localnet\nfe00::\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
        for address in addresses {
            let full = domainName.map { "\($0)\t\(hostname)" } ?? hostname
            text += "\(address)\t\(full)\n"
        }
        return text + aliases
    }

    private var aliases: String {
        let entries = pod.list("spec", "hostAliases")
        guard !entries.isEmpty else { return "" }
        return "\n# Entries added by HostAliases.\n"
            + entries.map { entry in
                let names = entry.list("hostnames").compactMap(\.string).joined(separator: "\t")
                return "\(entry.text("ip") ?? "")\t\(names)\n"
            }.joined()
    }

    /// `HOST.SUBDOMAIN.NAMESPACE.svc.DOMAIN` where the pod has a subdomain.
    private var domainName: String? {
        guard let subdomain = pod.text("spec", "subdomain"), !subdomain.isEmpty else { return nil }
        return "\(hostname).\(subdomain).\(namespace).svc.\(configuration.clusterDomain)"
    }

    private var namespace: String { pod.text("metadata", "namespace") ?? "default" }

    var resolvConf: String { resolver.text }

    /// What did not fit into the resolver's limits.
    var resolverProblems: [String] { resolver.problems }

    private static let mostServers = 3
    private static let mostSearches = 32
    private static let longestSearch = 2048

    private var resolver: (text: String, problems: [String]) {
        var problems: [String] = []
        var servers: [String] = []
        var searches: [String] = []
        var options: [(String, String?)] = []
        let isHostNetwork = pod.flag("spec", "hostNetwork") == true
        var policy = pod.text("spec", "dnsPolicy") ?? "ClusterFirst"
        if policy == "ClusterFirst", isHostNetwork { policy = "Default" }
        if policy == "ClusterFirstWithHostNet" { policy = "ClusterFirst" }
        switch policy {
        case "ClusterFirst" where !configuration.clusterDNS.isEmpty:
            let domain = configuration.clusterDomain
            servers = configuration.clusterDNS.map(\.description)
            searches = ["\(namespace).svc.\(domain)", "svc.\(domain)", domain] + inherited.searches
            options = [("ndots", "5")]
        case "None": break
        default: (servers, searches, options) = inherited
        }
        let extra = pod.at("spec", "dnsConfig")
        servers += extra?.list("nameservers").compactMap(\.string) ?? []
        searches += extra?.list("searches").compactMap(\.string) ?? []
        for option in extra?.list("options") ?? [] {
            guard let name = option.text("name") else { continue }
            options.removeAll { $0.0 == name }
            options.append((name, option.text("value")))
        }
        servers = Self.unique(servers)
        if servers.count > Self.mostServers {
            servers = Array(servers.prefix(Self.mostServers))
            problems.append(
                "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
                    + servers.joined(separator: " "))
        }
        searches = Self.unique(searches)
        let all = searches.count
        searches = Array(searches.prefix(Self.mostSearches))
        while searches.joined(separator: " ").utf8.count > Self.longestSearch { searches.removeLast() }
        if searches.count < all {
            problems.append(
                "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
                    + searches.joined(separator: " "))
        }
        var text = ""
        if !searches.isEmpty { text += "search \(searches.joined(separator: " "))\n" }
        for server in servers { text += "nameserver \(server)\n" }
        if !options.isEmpty {
            let parts = options.map { name, value in value.map { "\(name):\($0)" } ?? name }
            text += "options \(parts.joined(separator: " "))\n"
        }
        return (text, problems)
    }

    private static func unique(_ names: [String]) -> [String] {
        names.enumerated().filter { names.firstIndex(of: $0.element) == $0.offset }.map(\.element)
    }

    private var inherited: (servers: [String], searches: [String], options: [(String, String?)]) {
        var result: (servers: [String], searches: [String], options: [(String, String?)]) = ([], [], [])
        for line in ((try? Files.text(configuration.resolvConf)) ?? "").split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            switch words.first {
            case "nameserver": result.servers += words.dropFirst().prefix(1)
            case "search": result.searches = Array(words.dropFirst()).filter { $0 != "." }
            case "options":
                result.options = words.dropFirst().map { word in
                    let parts = word.split(separator: ":", maxSplits: 1).map(String.init)
                    return (parts[0], parts.count == 2 ? parts[1] : nil)
                }
            default: break
            }
        }
        return result
    }

    func write() throws {
        let directory = "\(configuration.podDirectory(pod.text("metadata", "uid") ?? ""))/files"
        try Files.makeDirectories(directory)
        for (name, text) in [
            ("hosts", hosts), ("hostname", (kernelHostname ?? hostname) + "\n"), ("resolv.conf", resolvConf),
        ] {
            try PlainFile.write(Array(text.utf8), to: "\(directory)/\(name)", mode: 0o644)
        }
    }
}
