import Basics
import Document
import Glibc
import Linux
import Testing

/// Processes that pull are killed at random moments: the store is whole after each of them, and a pull completes.
@Suite(.serialized, .enabled(if: Machine.canCreate, "\(Machine.why)"))
struct PullKillTests {
    private static let rounds = 12

    /// An archive with an image of a few layers that do not compress: pulling takes a while.
    private func makeArchive(in directory: String) throws -> String {
        try Files.makeDirectories(directory)
        // Bytes that differ from run to run would make a failure hard to repeat.
        let script = """
            set -e; cd "\(directory)"; mkdir -p layout/blobs/sha256
            digest() { sha256sum "$1" | cut -c1-64; }
            layers=""; ids=""
            for n in 1 2 3 4; do
              mkdir -p "l$n/d$n"; openssl enc -aes-128-ctr -K 0$n -iv 00 -in /dev/zero 2>/dev/null | head -c 6000000 >"l$n/d$n/data"
              tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "l$n" -cf "l$n.tar" .
              d=$(digest "l$n.tar"); s=$(stat -c %s "l$n.tar"); cp "l$n.tar" "layout/blobs/sha256/$d"
              layers="$layers,{\\"mediaType\\":\\"application/vnd.oci.image.layer.v1.tar\\",\\"digest\\":\\"sha256:$d\\",\\"size\\":$s}"
              ids="$ids,\\"sha256:$d\\""
            done
            printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[%s]}}' "${ids#,}" >config
            d=$(digest config); cp config "layout/blobs/sha256/$d"
            printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[%s]}' "$d" "$(stat -c %s config)" "${layers#,}" >manifest
            d=$(digest manifest); cp manifest "layout/blobs/sha256/$d"
            printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"io.containerd.image.name":"test/big:v1"}}]}' "$d" "$(stat -c %s manifest)" >layout/index.json
            printf '{"imageLayoutVersion":"1.0.0"}' >layout/oci-layout
            """
        let made = Shell.run(["bash", "-c", script])
        try #require(made.code == 0, "\(made)")
        return "\(directory)/layout"
    }

    @Test(.enabled(if: Shell.has("openssl"), "needs openssl")) func killedPullsLeaveAWholeStore() throws {
        // Two homes: one whose store the registry serves, one that is pulled into.
        let source = Lab("pull-source"), target = Lab("pull-target")
        defer {
            source.lab("registry", "stop")
            source.tearDown()
            target.tearDown()
        }
        let layout = try makeArchive(in: "\(source.home)/made")
        let started = source.lab("registry", "start", "--port", "0", "--json")
        try #require(started.code == 0, "\(started)")
        let address = try #require(try Document(json: Array(started.out.utf8)).text("address"))
        #expect(source.lab("image", "load", layout).code == 0)
        let pushed = source.lab("image", "push", "test/big:v1", "\(address)/big:v1")
        try #require(pushed.code == 0, "\(pushed)")

        // Each kill falls into a span that follows how long the last whole pull took, and is halved when one came too
        // late: a machine that is slow now and quick later is met by kills all the same.
        var span = 0
        func pullWhole(_ when: String) throws {
            let begin = ContinuousClock.now
            let pull = target.lab("image", "pull", "\(address)/big:v1")
            try #require(pull.code == 0, "\(when): \(pull)")
            span = max(2_000, Int((ContinuousClock.now - begin) / .microseconds(1)))
        }
        try pullWhole("before the kills")
        var state: UInt64 = 20_261_121
        var killed = 0
        for round in 0..<Self.rounds {
            try Files.removeTree("\(target.home)/images")
            // Some rounds find what the ones before have left.
            for _ in 0...(round % 3) {
                let pull = target.start("image", "pull", "\(address)/big:v1")
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                usleep(UInt32(Int(state >> 33) % span))
                kill(pull.pid, SIGKILL)
                if pull.wait().code == 137 { killed += 1 } else { span = max(2_000, span / 2) }
                try checkWhole(target, "round \(round)")
            }
            try pullWhole("round \(round)")
            try checkWhole(target, "round \(round), pulled")
            let partial = try Files.list("\(target.home)/images/partial")
            let temporary = try Files.list("\(target.home)/images/tmp")
            #expect(partial.isEmpty && temporary.isEmpty, "round \(round): \(partial) \(temporary)")
            #expect(try Files.list("\(target.home)/images/layers").count == 4)
        }
        #expect(killed > Self.rounds / 2, "kills that came too late: the last whole pull took \(span) µs")
    }

    /// Every blob has the digest that it goes by, every layer all of its files, and the index names only what is there.
    private func checkWhole(_ lab: Lab, _ when: String) throws {
        let store = "\(lab.home)/images"
        guard Files.exists("\(store)/blobs/sha256") else { return }
        let checked = Shell.run([
            "sh", "-c",
            """
            cd \(store)/blobs/sha256 && for b in *; do [ "$b" = '*' ] && break
            [ "$(sha256sum "$b" | cut -c1-64)" = "$b" ] || echo "blob $b is damaged"; done
            for l in \(store)/layers/*; do [ -d "$l" ] || continue
            [ "$(cat "$l"/d*/data | wc -c)" = 6000000 ] || echo "layer $l is not whole"; done
            """,
        ])
        #expect(checked.code == 0 && checked.out.isEmpty, "\(when): \(checked)")
        // Reading every image is what `list` does: a name without its parts would be an error.
        let listed = lab.lab("image", "list", "--json")
        #expect(listed.code == 0, "\(when): \(listed)")
    }
}
