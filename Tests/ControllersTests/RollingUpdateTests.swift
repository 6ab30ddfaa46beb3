import Document
import Testing

@testable import Controllers

@Suite struct RollingUpdateTests {
    private func set(_ image: String, wanted: Int, available: Int) -> Document {
        [
            "metadata": ["name": Document(image), "creationTimestamp": "2026-01-01T00:00:00Z"],
            "spec": [
                "replicas": Document(wanted), "template": ["spec": ["containers": [["image": Document(image)]]]],
            ],
            "status": ["replicas": Document(available), "availableReplicas": Document(available)],
        ]
    }

    /// The old set was told to shrink to eight and reports the ten that it still has; one of the three new pods works.
    @Test func podsThatAreAboutToGoPromiseNothing() {
        let deployment: Document = [
            "spec": [
                "replicas": 10, "strategy": ["rollingUpdate": ["maxSurge": "25%", "maxUnavailable": "25%"]],
                "template": ["spec": ["containers": [["image": "new"]]]],
            ]
        ]
        let state = DeploymentState(
            deployment, sets: [set("new", wanted: 3, available: 1), set("old", wanted: 8, available: 10)])
        #expect(RollingUpdate.sizesOfOldSets(state).map(\.size) == [7])
    }
}
