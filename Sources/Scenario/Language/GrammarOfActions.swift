extension Grammar {
    private static let kind = Field(
        "kind", .text, required: true, "Kinds outside Kubernetes' own need an `apiVersion` beside it.")
    private static let apiVersion = Field("apiVersion", .text, "Such as `apps/v1`.")
    private static let namespace = Field("namespace", .text, "The scenario's own where not given.")

    static let actions: [Shape] = [
        Shape(
            "patch", "A change of one object.",
            [
                kind, apiVersion, namespace, Field("name", .text, required: true, "The object."),
                Field("type", .word(["merge", "strategic", "json"]), "`merge` where not given."),
                Field("subresource", .text, "Such as `status` or `scale`."),
                Field("patch", .anything, required: true, "The patch itself."),
            ]),
        Shape(
            "deletion", "What is deleted: by name, or by selectors.",
            [
                kind, apiVersion, namespace, Field("name", .text, "One object."),
                Field("selector", .text, "All with these labels."),
                Field("fieldSelector", .text, "All with these fields."),
            ]),
        Shape(
            "request", "An HTTP request, and what its answer must be like.",
            [
                Field("method", .text, "`GET` where not given."),
                Field("path", .text, required: true, "From `/` on, with its query."),
                Field("body", .anything, "A document, or a text that is sent as it is."),
                Field("contentType", .text, "`application/json` where not given."),
                Field("accept", .text, "What the answer may be."),
                Field("status", .bound, "200 to 299 where not given."),
                Field("matches", .match, "What the answer's document must be like."),
                Field("cel", .texts, "Expressions about `answer`, each of which must be true."),
            ] + textFields),
        Shape(
            "exec", "A program in a container; results in `{stdout, stderr, exit}`.",
            [
                Field("pod", .text, required: true, ""), namespace,
                Field("container", .text, "The first one where not given."),
                Field("command", .texts, required: true, "The program and its arguments."),
                Field("stdin", .text, "What it reads."), Field("exit", .bound, "Its exit code, 0 where not given."),
                Field("stdout", .shape("text"), "What it must have written."),
                Field("stderr", .shape("text"), "What it must have written as errors."),
            ]),
        Shape("text", "What a text must be like; at least one of equals, contains, pattern.", textFields),
        Shape(
            "fault", "A fault that begins (`add`) or ends (`remove`), as `lab fault` has it.",
            oneOf: ["add", "remove"],
            [
                Field("add", .wordOrVariable(FaultDeed.kinds), "Its kind: `lab fault --help` says what each is for."),
                Field("remove", .text, "Its name."),
                Field("at", .text, "Where: `node/NAME`, `pod/NAMESPACE/NAME`, `component/NAME`, `user/NAME`."),
                Field("to", .text, "The other side of a network fault."),
                Field("name", .text, "How it is called, for `remove`."),
                Field("for", .duration, "How long; until it is removed, or the scenario ends, where not given."),
                Field("percent", .number, "`loss`, `api-error`: so many of a hundred."),
                Field("rate", .text, "`rate`: what is beyond it is lost, such as 1mbit."),
                Field("delay", .duration, "`api-slow`, `watch-lag`: how long."),
                Field("oneWay", .flag, "Only what the first place sends."),
            ]),
        Shape(
            "node", "A node of the cluster.", oneOf: ["stop", "start", "remove", "add"],
            [
                Field("stop", .text, "Ends it as a power cut would."), Field("start", .text, "Starts it again."),
                Field("remove", .text, "Takes it out of the cluster."), Field("add", .number, "So many new workers."),
            ]),
        Shape(
            "target", "One object by its name.",
            [kind, apiVersion, namespace, Field("name", .text, required: true, "The object.")]),
        Shape(
            "targets", "All objects of a kind that selectors choose.",
            [
                kind, apiVersion, namespace, Field("selector", .text, "Those with these labels."),
                Field("fieldSelector", .text, "Those with these fields."),
            ]),
        Shape(
            "log", "A container's log.",
            [
                Field("pod", .text, required: true, ""), Field("container", .text, "The only one where not given."),
                Field("previous", .flag, "Of the container before its last restart."),
            ]),
        Shape(
            "answer", "What a service answers, through the API server's proxy.",
            [
                Field("service", .text, required: true, ""), Field("port", .text, "80 where not given."),
                Field("path", .text, "`/` where not given."),
            ]),
        Shape(
            "events", "Events of the namespace, by what they say; patterns in every field.",
            [
                Field("reason", .text, ""), Field("type", .text, "`Normal` or `Warning`."),
                Field("kind", .text, "The kind of the object that it is about."),
                Field("name", .text, "The name of that object."),
                Field("from", .text, "The component that reported it."), Field("message", .text, ""), namespace,
            ]),
        Shape(
            "metrics", "Samples in Prometheus' text format.",
            [
                Field("path", .text, "On the API server, `/metrics` where not given; nodes by their proxy."),
                Field("name", .text, required: true, "The metric."),
                Field("labels", .shape("labels"), "Those that a sample must have, as patterns."),
            ]),
        Shape("labels", "Labels and patterns for their values.", others: .text),
    ]

    private static let textFields: [Field] = [
        Field("equals", .text, "The whole text, but for newlines at its end."),
        Field("contains", .texts, "Each of them stands in it."),
        Field("pattern", .text, "Lines like this: `*` is any text, `{name}` one without spaces."),
        Field("lines", .bound, "How many lines are like the pattern; at least one where not given."),
        Field("distinct", .shape("distinct"), "How many different values a `{name}` of the pattern has."),
    ]

    private static let times: [Field] = [
        Field("within", .duration, "`eventually`: how long it may take."),
        Field("for", .duration, "`always` and `never`: how long."),
    ]

    static let claims: [Shape] = [
        Shape(
            "objectClaim", "About one object: `matches`, `cel` or both, or else `absent`.",
            [
                Field("object", .shape("target"), required: true, "The object."),
                Field("matches", .match, "What it must be like."), Field("absent", .flag, "It is not there."),
                Field("cel", .texts, "Expressions about `object`, each of which must be true."),
            ] + times),
        Shape(
            "objectsClaim", "About all objects that selectors choose.",
            [
                Field("objects", .shape("targets"), required: true, "The objects."),
                Field("matching", .match, "Which of them count."),
                Field("count", .bound, "How many of them there are."),
                Field("each", .match, "What every one of them must be like."),
                Field("distinct", .shape("distinct"), "How many different values a JSONPath has among them."),
                Field("cel", .texts, "Expressions about the list `objects`, each of which must be true."),
            ] + times),
        Shape(
            "logClaim", "About a log.",
            [Field("log", .shape("log"), required: true, "The log.")] + textFields + times),
        Shape(
            "answerClaim", "About an HTTP answer.",
            [
                Field("answer", .shape("answer"), required: true, "Who is asked."),
                Field("status", .bound, "200 where not given."), Field("equals", .text, "The whole text."),
                Field("contains", .texts, "Each of them stands in it."), Field("pattern", .text, "A line like this."),
            ] + times),
        Shape(
            "eventsClaim", "About events.",
            [
                Field("events", .shape("events"), required: true, "Which events."),
                Field(
                    "count", .bound,
                    "How many there are, each counted as often as it says that it was seen; at least one where not given."
                ),
            ] + times),
        Shape(
            "metricsClaim", "About metrics.",
            [
                Field("metrics", .shape("metrics"), required: true, "Which samples."),
                Field("value", .measure, "Their sum."), Field("count", .bound, "How many there are."),
            ] + times),
    ]
}
