import Document
import Testing

@testable import Scheduler

@Suite struct CountBoundTests {
    private static func bound(least: Int32 = .min, most: Int32 = .max, uncounted: Bool = false) -> CountBound {
        CountBound(counts: [0, 2, 5], ofNode: [0, 1, 2, -1], least: least, most: most, admitsUncounted: uncounted)
    }

    @Test(arguments: [
        (bound(), [true, true, true, false]),
        (bound(least: 1), [false, true, true, false]),
        (bound(most: 0, uncounted: true), [true, false, false, true]),
        (bound(least: 1, most: 4), [false, true, false, false]),
    ])
    func countsDecide(bound: CountBound, expected: [Bool]) {
        #expect((0..<4).map { bound.admits($0) } == expected)
    }
}

/// What is asked of thousands of nodes at once must say the same as what is asked of one.
@Suite struct BoundsAgreementTests {
    private static func chosen(_ dice: Dice) -> Document {
        let zone = "topology.kubernetes.io/zone"
        let host = "kubernetes.io/hostname"
        let selector: Document = ["matchLabels": ["app": Document("app-\(dice.below(3))")]]
        let key = Document(dice.below(2) == 0 ? zone : host)
        let term: Document = ["labelSelector": selector, "topologyKey": key]
        switch dice.below(4) {
        case 0: return ["affinity": ["podAffinity": ["requiredDuringSchedulingIgnoredDuringExecution": [term]]]]
        case 1: return ["affinity": ["podAntiAffinity": ["requiredDuringSchedulingIgnoredDuringExecution": [term]]]]
        case 2:
            return [
                "topologySpreadConstraints": [
                    [
                        "maxSkew": Document(1 + dice.below(2)), "topologyKey": key,
                        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector,
                    ]
                ]
            ]
        default: return [:]
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>) func boundsSayWhatFiltersSay(seed: UInt64) {
        let dice = Dice(seed)
        // Every fifth node has no zone.
        let bare: Document = ["metadata": ["labels": ["topology.kubernetes.io/zone": .null]]]
        var cluster = makeCluster(["n5": bare, "n10": bare], count: 12) { "z\($0 % 3)" }
        var framework = Framework(.standard())
        var compared = 0
        for number in 0..<60 {
            let pod = pod("p\(number)", cpu: "10m", labels: ["app": "app-\(dice.below(3))"], spec: Self.chosen(dice))
            let run = framework.prepare(pod, &cluster)
            for check in run.filters {
                guard let bounds = check.bounds else { continue }
                for node in cluster.nodes where node.exists {
                    compared += 1
                    #expect((check.filter(node) == nil) == bounds.allSatisfy { $0.admits(node.slot) })
                }
            }
            if case .bind(let node) = framework.schedule(pod, &cluster, random: dice) { cluster.place(pod, on: node) }
        }
        #expect(compared > 100)
    }
}
