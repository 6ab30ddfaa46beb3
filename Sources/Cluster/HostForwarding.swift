import Basics
import Linux

/// Whether the host passes on what clusters send out.
///
/// Translation and the leave to forward are not enough: a chain of somebody else at the same point, such as a
/// firewall's or a container engine's, may drop by default whatever it does not know.
extension Doctor {
    func hostForwarding() -> [Finding] {
        let tables = try? Nftables()
        var findings: [Finding] = []
        if let chains = try? tables?.baseChains() {
            findings += Self.findings(chains) { (try? tables?.rules(of: $0)) ?? [] }
        }
        let links = (try? RouteSocket().links().map(\.name)) ?? []
        let names = (try? HostLink.remembered()) ?? []
        if !links.contains(where: { $0.hasPrefix(HostLink.namePrefix) }), !names.isEmpty {
            let settings = names.map { "sysctl -w net.ipv4.conf.\($0.replacing(".", with: "/")).forwarding=0" }
            findings.append(
                Finding(
                    "forwarding", .warning,
                    "no cluster is left, and \(names.joined(separator: ", ")) still forward for one",
                    remedy: (settings + ["nft delete table ip \(HostLink.forwardingTable)"]).joined(separator: "; ")))
        }
        return findings
    }

    /// A chain that drops what it is not told to let pass, and has no rule that speaks of our links.
    static func findings(_ chains: [NftBaseChain], rules: (NftBaseChain) -> [NftContent.Rule]) -> [Finding] {
        let link = Array(HostLink.namePrefix.utf8)
        return chains.filter { $0.dropsForwarded }.filter { chain in
            !rules(chain).contains { rule in
                rule.expressions.indices.contains { rule.expressions[$0...].starts(with: link) }
            }
        }.sorted { "\($0)" < "\($1)" }.map { chain in
            let place = "\(chain.familyName) \(chain.table) \(chain.name)"
            return Finding(
                "forwarding", .warning,
                "the chain '\(place)' drops what it does not know, so pods may not reach what this host reaches",
                remedy: "nft insert rule \(place) iifname 'lab-host*' accept; "
                    + "nft insert rule \(place) oifname 'lab-host*' accept")
        }
    }
}
