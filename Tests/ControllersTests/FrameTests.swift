import Basics
import Client
import Testing

@testable import Controllers

@Suite struct ControllerSelectionTests {
    @Test(arguments: [
        (["*"], "job-controller", true),
        (["*"], "bootstrap-signer-controller", false),
        (["*", "bootstrap-signer-controller"], "bootstrap-signer-controller", true),
        (["*", "-job-controller"], "job-controller", false),
        (["*", "-job"], "job-controller", false),
        (["-job-controller", "*"], "job-controller", false),
        (["job-controller", "-job-controller"], "job-controller", true),
        (["cronjob"], "job-controller", false),
        (["cronjob"], "cronjob-controller", true),
        ([], "job-controller", false),
    ]) func theFirstWordDecides(words: [String], name: String, runs: Bool) throws {
        #expect(try ControllerSelection(words).contains(name) == runs)
    }

    @Test func unknownNamesAreRefused() {
        let error = #expect(throws: ControllerSelection.UnknownController.self) {
            try ControllerSelection(["*", "-no-such-controller"])
        }
        #expect(error?.description == "\"-no-such-controller\" is not in the list of known controllers")
    }
}

@Suite struct MetricsTests {
    @Test func histogramsAreCumulative() {
        var histogram = Histogram(bounds: [0.5, 1])
        for value in [0.25, 0.5, 0.75, 2] { histogram.add(value) }
        var text = MetricsText()
        text.histograms("x_seconds", "How long", [([(name: "name", value: "a\"b")], histogram)])
        #expect(
            text.text == """
                # HELP x_seconds How long
                # TYPE x_seconds histogram
                x_seconds_bucket{name="a\\"b",le="0.5"} 2
                x_seconds_bucket{name="a\\"b",le="1"} 3
                x_seconds_bucket{name="a\\"b",le="+Inf"} 4
                x_seconds_sum{name="a\\"b"} 3.5
                x_seconds_count{name="a\\"b"} 4

                """)
    }

    @Test func familiesWithoutSamplesAreLeftOut() {
        var text = MetricsText()
        text.family("x", .gauge, "Nothing", [])
        #expect(text.text.isEmpty)
    }
}
