import Document
import Testing

@testable import Cluster

@Suite struct ManagerOptionsTests {
    private func parse(_ text: String) throws -> ClusterConfiguration {
        try ConfigurationFile.parse(Array(text.utf8), name: "lab.yaml")
    }

    @Test func aFileChoosesControllersAndLeadership() throws {
        let configuration = try parse("controllers: [\"*\", -cronjob]\nleaderElection: false\n")
        #expect(configuration.controllers == ["*", "-cronjob"])
        #expect(!configuration.leaderElection)
        try configuration.check()
        let usual = try parse("workers: 1\n")
        #expect(usual.controllers == ["*"])
        #expect(usual.leaderElection)
    }

    @Test func unknownControllersAreRefused() throws {
        let configuration = try parse("controllers: [\"*\", -cronjobs]\n")
        let error = #expect(throws: UsageError.self) { try configuration.check() }
        #expect(error?.message == "\"-cronjobs\" is not in the list of known controllers")
    }

    @Test(arguments: ["controllers: all\n", "controllers: [1]\n", "leaderElection: \"no\"\n"])
    func otherTypesAreRefused(text: String) {
        #expect(throws: UsageError.self) { try parse(text) }
    }

    @Test func theNodesRecordCarriesThem() throws {
        var record = NodeRecord(cluster: "c", name: "n", index: 0)
        record.controllers = ["job-controller"]
        record.leaderElection = false
        #expect(try NodeRecord(Document(json: record.document.json)) == record)
        // A record that was written before these choices has the usual ones.
        let old = try NodeRecord(["cluster": "c", "name": "n", "index": 0])
        #expect(old.controllers == ["*"] && old.leaderElection)
    }
}
