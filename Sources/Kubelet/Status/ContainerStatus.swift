import Basics
import Document
import Images

/// `containerStatuses` and its siblings, from the records.
struct ContainerStatusBuilder {
    let lifecycle: PodLifecycle
    let now: Timestamp

    func statuses(of member: String) -> [Document] {
        lifecycle.pod.list("spec", member).compactMap { specification in
            guard let name = specification.text("name"), let index = lifecycle.index(of: name) else { return nil }
            return status(lifecycle.containers[index], specification)
        }
    }

    private func status(_ record: ContainerRecord, _ specification: Document) -> Document {
        let (state, last) = states(record)
        let reported = reportedStatus(record.name)
        let image = record.startedImage
        var status: Document = ["name": Document(record.name), "state": state, "lastState": last]
        status["ready"] = Document(record.isReady)
        status["restartCount"] = Document(record.restartCount)
        status["image"] = Document(
            image?.names.first ?? reported?.text("image") ?? specification.text("image") ?? "")
        status["imageID"] = Document(image.map(Self.imageID) ?? reported?.text("imageID") ?? "")
        let shown = record.starting && record.termination != nil ? record.attempt - 1 : record.attempt
        let hasRun = record.isRunning || record.termination != nil || record.lastTermination != nil
        if hasRun, shown >= 0 {
            status["containerID"] = Document(
                record.isRunning
                    ? lifecycle.containerID(record.name, shown)
                    : record.termination?.containerID ?? record.lastTermination?.containerID ?? "")
        }
        if record.role == .main || record.role == .sidecar {
            status["started"] = Document(record.isStarted)
        } else if record.role == .initial {
            status["started"] = Document(record.isRunning)
        }
        if record.role == .main || record.role == .sidecar { addResources(&status, record, specification) }
        if let signal = specification.text("lifecycle", "stopSignal") { status["stopSignal"] = Document(signal) }
        if let user = record.user {
            status["user"] = [
                "linux": [
                    "uid": Document(Int(user.uid)), "gid": Document(Int(user.gid)),
                    "supplementalGroups": Document(user.additionalGroups.map { Document(Int($0)) }),
                ]
            ]
        } else if hasRun, let known = reported?["user"] {
            status["user"] = known
        }
        addMounts(&status, specification)
        return status
    }

    /// `REPOSITORY@DIGEST`, as runtimes report what was really run.
    static func imageID(_ image: Image) -> String {
        guard let name = image.names.first else { return image.id }
        var repository = Substring(name)
        if let at = repository.firstIndex(of: "@") { repository = repository[..<at] }
        let slash = repository.lastIndex(of: "/") ?? repository.startIndex
        if let colon = repository.lastIndex(of: ":"), colon > slash { repository = repository[..<colon] }
        return "\(repository)@\(image.digest)"
    }

    /// What was granted, and what is in force while it runs.
    private func addResources(_ status: inout Document, _ record: ContainerRecord, _ specification: Document) {
        let granted = lifecycle.resizing.granted[record.name] ?? specification["resources"] ?? .emptyObject
        if let requests = granted["requests"], requests.count > 0 { status["allocatedResources"] = requests }
        guard record.isRunning else { return }
        let applied = lifecycle.resizing.applied[record.name] ?? granted
        status["resources"] = ["requests", "limits"].reduce(into: Document.emptyObject) { result, side in
            if let amounts = applied[side], amounts.count > 0 { result[side] = amounts }
        }
    }

    private func addMounts(_ status: inout Document, _ specification: Document) {
        let mounts = specification.list("volumeMounts").map { mount -> Document in
            var entry: Document = [
                "name": Document(mount.text("name") ?? ""), "mountPath": Document(mount.text("mountPath") ?? ""),
            ]
            if mount.flag("readOnly") == true {
                entry["readOnly"] = true
                let isRecursive = ["Enabled", "IfPossible"].contains(mount.text("recursiveReadOnly"))
                entry["recursiveReadOnly"] = isRecursive ? "Enabled" : "Disabled"
            }
            return entry
        }
        if !mounts.isEmpty { status["volumeMounts"] = Document(mounts) }
    }

    private func reportedStatus(_ name: String) -> Document? {
        for member in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
            if let found = lifecycle.pod.list("status", member).first(where: { $0.text("name") == name }) {
                return found
            }
        }
        return nil
    }

    /// `state` and `lastState`.
    private func states(_ record: ContainerRecord) -> (Document, Document) {
        func ended(_ end: Termination?) -> Document { end.map { ["terminated": $0.document] } ?? .emptyObject }
        switch record.phase {
        case .running(_, let startedAt):
            return (["running": ["startedAt": Document(startedAt.description)]], ended(record.lastTermination))
        case .terminated(let end):
            // While it waits to be started again the end is the last state; without a wait it stays the state.
            if lifecycle.stage == .alive, let index = lifecycle.index(of: record.name), lifecycle.willRestart(index),
                let waiting = waitingAgain(record, end)
            {
                return (["waiting": waiting], ended(end))
            }
            return (["terminated": end.document], ended(record.lastTermination))
        case .waiting:
            return (["waiting": firstWait(record)], ended(record.lastTermination))
        }
    }

    private func waitingAgain(_ record: ContainerRecord, _ end: Termination) -> Document? {
        if let waiting = imageWait(record) { return waiting }
        if !record.starting, let backoff = record.backoff, now < end.finishedAt + backoff {
            let text =
                "back-off \(Self.text(backoff)) restarting failed container=\(record.name) "
                + "pod=\(lifecycle.name)_\(lifecycle.namespace)(\(lifecycle.uid))"
            return ["reason": "CrashLoopBackOff", "message": Document(text)]
        }
        if !record.starting, let problem = record.startProblem {
            return ["reason": Document(problem.reason), "message": Document(problem.message)]
        }
        return nil
    }

    private func firstWait(_ record: ContainerRecord) -> Document {
        if let waiting = imageWait(record) { return waiting }
        if let problem = record.startProblem {
            return ["reason": Document(problem.reason), "message": Document(problem.message)]
        }
        let hasInitials = lifecycle.containers.contains { $0.role == .initial || $0.role == .sidecar }
        return ["reason": Document(hasInitials ? "PodInitializing" : "ContainerCreating")]
    }

    private func imageWait(_ record: ContainerRecord) -> Document? {
        guard case .failed(let reason, let message, let retryAt, let pause) = record.image else { return nil }
        // The error itself is shown at first, then the fact that we wait.
        let since = retryAt + (.zero - pause)
        if reason == "ErrImagePull", now >= since + PodLifecycle.pullErrorShown {
            let name = lifecycle.specification(of: record.name)?.text("image") ?? ""
            return [
                "reason": "ImagePullBackOff",
                "message": Document("Back-off pulling image \"\(name)\": \(reason): \(message)"),
            ]
        }
        return ["reason": Document(reason), "message": Document(message)]
    }

    /// Go's form of a duration in whole seconds: `10s`, `2m40s`, `5m0s`.
    static func text(_ duration: Duration) -> String {
        let seconds = duration.wholeSeconds
        return seconds < 60 ? "\(seconds)s" : "\(seconds / 60)m\(seconds % 60)s"
    }
}

extension Termination {
    var document: Document {
        var end: Document = ["exitCode": Document(exitCode)]
        if let signal { end["signal"] = Document(signal) }
        end["reason"] = Document(reason)
        if let message { end["message"] = Document(message) }
        if let startedAt { end["startedAt"] = Document(startedAt.description) }
        end["finishedAt"] = Document(finishedAt.description)
        end["containerID"] = Document(containerID)
        return end
    }
}
