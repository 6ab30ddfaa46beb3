import Basics
import Client
import Document
import Kinds

extension Scheduler {
    /// Tells why the pod has no node: an event, and a condition where it says something new.
    func report(_ pod: PodInfo, reason: String, message: String, nominated: String?) async {
        await recorder.record(pod.document, type: .warning, reason: "FailedScheduling", message: message)
        await changeStatus(of: pod) { latest in
            let view = PodView(latest)
            // A pod that has its node by now says other things of itself.
            guard view.nodeName.isEmpty else { return .emptyObject }
            var status: Document = .emptyObject
            let old = view.condition("PodScheduled")
            if old?.text("status") != "False" || old?.text("reason") != reason || old?.text("message") != message {
                var condition: Document = ["type": "PodScheduled", "status": "False"]
                if view.metadata.generation > 0 { condition["observedGeneration"] = Document(view.metadata.generation) }
                condition["reason"] = Document(reason)
                condition["message"] = Document(message)
                let isSame = old?.text("status") == "False"
                condition["lastTransitionTime"] =
                    isSame ? old?["lastTransitionTime"] : Document(self.world.clock.now.rfc3339())
                let others = latest.list("status", "conditions").filter { $0.text("type") != "PodScheduled" }
                status["conditions"] = Document(others + [condition])
            }
            if let nominated, nominated != view.nominatedNodeName {
                status["nominatedNodeName"] = nominated.isEmpty ? .null : Document(nominated)
            }
            return status
        }
    }

    /// Patches the status with what `change` makes of the pod. Lists are written whole, and nodes write them too:
    /// only on top of what was read, and again a few times where someone else came first.
    private func changeStatus(of pod: PodInfo, _ change: (Document) -> Document) async {
        for _ in 0..<3 {
            let latest = pods.get(key: pod.key) ?? pod.document
            guard PodView(latest).uid == pod.uid else { return }
            let status = change(latest)
            if status.count == 0 { return }
            let version = PodView(latest).metadata.resourceVersion
            do {
                _ = try await client.patch(
                    .pods, namespace: pod.namespace, name: pod.name,
                    [
                        "metadata": ["uid": Document(pod.uid), "resourceVersion": Document(version)],
                        "status": status,
                    ], subresource: "status")
                return
            } catch let status as APIStatus where status.isConflict {
                let isNew = try? await pods.wait(atMost: .seconds(1)) {
                    self.pods.get(key: pod.key).map { PodView($0).metadata.resourceVersion } != version
                }
                if isNew != true { return }
            } catch {
                return log.debug("status of \(pod.key): \(error)")
            }
        }
    }

    /// Drives the victims out: each is told why before it is deleted with its own grace.
    func preempt(_ victims: [PodInfo], for pod: PodInfo, on node: String) async {
        if node.isEmpty { return }
        metrics.change {
            $0.preemptions += 1
            $0.victims.add(Double(victims.count))
        }
        for victim in victims {
            if deny(victim, "preempted") { continue }
            do {
                await condemn(victim, for: pod)
                _ = try await client.delete(
                    .pods, namespace: victim.namespace, name: victim.name,
                    options: [
                        "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": ["uid": Document(victim.uid)],
                    ])
                await recorder.record(
                    victim.document, type: .normal, reason: "Preempted",
                    message: "Preempted by pod \(pod.uid) on node \(node)")
            } catch let status as APIStatus where status.isNotFound || status.isConflict {
                continue  // gone by itself
            } catch {
                // The pod tries again after its pause, and finds the victim still there.
                log.warning("preempting \(victim.key) for \(pod.key): \(error)")
            }
        }
    }

    private func condemn(_ victim: PodInfo, for pod: PodInfo) async {
        await changeStatus(of: victim) { latest in
            if PodView(latest).isTrue("DisruptionTarget") { return .emptyObject }
            let condition: Document = [
                "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
                "message": Document("\(pod.schedulerName): preempting to accommodate a higher priority pod"),
                "lastTransitionTime": Document(self.world.clock.now.rfc3339()),
            ]
            let others = latest.list("status", "conditions").filter { $0.text("type") != "DisruptionTarget" }
            return ["conditions": Document(others + [condition])]
        }
    }

    // MARK: Permission

    /// Asks every permit plug-in; waits where one of them wants to wait.
    func permit(_ pod: PodInfo, _ node: String, _ profile: Profile) async throws {
        var waitsFor: Set<String> = []
        var longest: Duration?
        for plugin in profile.plugins where profile.isEnabled(plugin.name, at: .permit) {
            switch plugin.permit(pod, node) {
            case .allow: continue
            case .deny(let why): throw BindingProblem("running Permit plugin \"\(plugin.name)\": \(why)")
            case .wait(let time):
                waitsFor.insert(plugin.name)
                longest = min(longest ?? time, time)
            }
        }
        guard let longest else { return }
        let plugins = waitsFor
        state.withLock { $0.permits[pod.uid] = Permit(pod: pod, waitsFor: plugins) }
        defer { state.withLock { _ = $0.permits.removeValue(forKey: pod.uid) } }
        let began = world.clock.uptime
        while true {
            let ticket = permitChange.ticket
            guard let permit = state.withLock({ $0.permits[pod.uid] }) else { return }
            if let denial = permit.denial {
                throw BindingProblem("pod \"\(pod.name)\" rejected while waiting on permit: \(denial)")
            }
            let waited = world.clock.uptime - began
            if permit.waitsFor.isEmpty {
                return metrics.change {
                    $0.permits["allowed", default: SchedulerMetrics.seconds].add(waited.inSeconds)
                }
            }
            if waited >= longest {
                let names = permit.waitsFor.sorted().joined(separator: ", ")
                throw BindingProblem(
                    "pod \"\(pod.name)\" rejected while waiting on permit: rejected due to timeout after waiting "
                        + "\(waited.components.seconds)s at plugin \(names)")
            }
            try await permitChange.wait(since: ticket, atMost: longest - waited, clock: world.clock)
        }
    }

    /// `plugin` agrees to the binding of a pod that waits for it.
    func allow(_ uid: String, by plugin: String) {
        state.withLock { _ = $0.permits[uid]?.waitsFor.remove(plugin) }
        permitChange.wake()
    }

    /// A pod that waits for permission will not get it. Answers whether there was one.
    func deny(_ pod: PodInfo, _ why: String) -> Bool {
        let waited = state.withLock { state in
            state.permits[pod.uid]?.denial = why
            return state.permits[pod.uid] != nil
        }
        if waited { permitChange.wake() }
        return waited
    }
}
