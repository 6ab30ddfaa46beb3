import Basics
import Document
import Images
import Kinds
import Testing

@testable import Kubelet

@Suite struct ImagePullTests {
    @Test(
        arguments: [
            (100, 80, 1, nil), (85, 80, 16, nil), (85, 80, 15, 5), (85, 80, 0, 20), (85, 85, 10, 5),
        ] as [(Int, Int, Int64, Int64?)])
    func roomIsMadeAboveTheThreshold(high: Int, low: Int, available: Int64, wanted: Int64?) {
        let plan = ImageCollectionPlan(high: high, low: low)
        #expect(plan.isOn == (high < 100))
        guard plan.isOn else { return }
        #expect(plan.bytesToFree(StoreSpace(capacity: 100, available: available)) == wanted)
        #expect(plan.bytesToFree(StoreSpace(capacity: 0, available: 0)) == nil)
    }

    @Test func thresholdsComeFromTheSettingsFile() throws {
        var configuration = KubeletConfiguration(nodeName: "n", nodeIP: .loopback)
        let text = """
            apiVersion: kubelet.config.k8s.io/v1beta1
            kind: KubeletConfiguration
            imageGCHighThresholdPercent: 70
            imageGCLowThresholdPercent: 60
            imageMinimumGCAge: 1m30s
            """
        try KubeletSettingsFile.apply(Array(text.utf8), to: &configuration)
        #expect(configuration.imageHighThresholdPercent == 70)
        #expect(configuration.imageLowThresholdPercent == 60)
        #expect(configuration.imageMinimumAge == .seconds(90))
    }

    @Test func bothFormsOfSecretsAreRead() throws {
        func encoded(_ text: String) -> Document { Document(Base64.encode(Array(text.utf8))) }
        let auths = #"{"quay.io": {"username": "ann", "password": "1"}}"#
        let new: Document = ["data": [".dockerconfigjson": encoded("{\"auths\": \(auths)}")]]
        let old: Document = ["data": [".dockercfg": encoded(auths)]]
        let both = try [new, old].map { try PullSecret.credentials(of: $0, name: "s") }
        #expect(both[0] == both[1])
        #expect(!both[0].isEmpty)
        for wrong in [["data": ["x": "y"]], ["data": [".dockercfg": "%"]], ["data": [".dockercfg": encoded("{")]]]
            as [Document]
        {
            #expect(throws: ImageError.self) { try PullSecret.credentials(of: wrong, name: "s") }
        }
    }

    @Test func thePauseIsToldOnceAndIsThatImages() {
        var script = Script(pod(["containers": [container("main", ["image": "gone:1"])]]))
        let problem = StartProblem(reason: "ErrImagePull", message: "no such host")
        _ = script.after()
        #expect(script.after(.image(container: "main", .failure(problem))).events == ["Failed"])
        #expect(script.after(at: start + .seconds(2)).events == ["BackOff", "Failed"])
        #expect(script.after(at: start + .seconds(3)).events == [])
        #expect(script.after(at: start + .seconds(10)).names == ["image main"])
        _ = script.after(.image(container: "main", .failure(problem)), at: start + .seconds(10))
        #expect(script.after(at: start + .seconds(12)).events == ["BackOff", "Failed"])
        // Another image has not failed yet.
        let changed = pod(["containers": [container("main", ["image": "there:1"])]])
        #expect(script.after(.desired(changed), at: start + .seconds(13)).names == ["image main"])
        _ = script.after(.image(container: "main", .failure(problem)), at: start + .seconds(13))
        #expect(script.after(at: start + .seconds(23)).names == ["image main"])
    }
}
