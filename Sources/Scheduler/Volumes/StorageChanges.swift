import Client
import Document

extension Core {
    mutating func takeService(_ change: Change) {
        let selector = change.new?.map("spec", "selector") ?? [:]
        if selector == cluster.services[change.key]?.labels ?? [:] { return }
        cluster.services[change.key] =
            selector.isEmpty
            ? nil : ServiceSelector(namespace: change.new?.text("metadata", "namespace") ?? "", labels: selector)
    }

    mutating func takeClaim(_ change: Change) {
        cluster.storage.claims[change.key] = change.new
        if change.new != nil { happened(.claimChanged(change.key)) }
    }

    mutating func takeVolume(_ change: Change) {
        cluster.storage.volumes[change.key] = change.new
        if change.new != nil { happened(.volumeChanged(change.key)) }
    }

    mutating func takeStorageClass(_ change: Change) {
        cluster.storage.classes[change.key] = change.new
        if change.new != nil { happened(.storageClassChanged(change.key)) }
    }

    mutating func takeStorageNode(_ change: Change) {
        var limits: [String: Int] = [:]
        for driver in change.new?.list("spec", "drivers") ?? [] {
            guard let name = driver.text("name"), let count = driver.number("allocatable", "count") else { continue }
            limits[name] = count
        }
        if cluster.storage.limits[change.key] ?? [:] == limits { return }
        cluster.storage.limits[change.key] = limits.isEmpty ? nil : limits
        happened(.storageNodeChanged(change.key))
    }

    mutating func takeDriver(_ change: Change) {
        let publishes = change.new?.flag("spec", "storageCapacity") ?? false
        if publishes == cluster.storage.capacityDrivers.contains(change.key) { return }
        if publishes {
            cluster.storage.capacityDrivers.insert(change.key)
        } else {
            cluster.storage.capacityDrivers.remove(change.key)
        }
        happened(.driverChanged(change.key))
    }

    mutating func takeCapacity(_ change: Change) {
        cluster.storage.capacities[change.key] = change.new
        if change.new != nil { happened(.capacityChanged) }
    }
}
