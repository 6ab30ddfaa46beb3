import APIServer
import Basics
import Client
import Controllers
import Linux
import Scheduler

/// Controllers and scheduler in one process. They share nothing but the process: each has a client of its own,
/// with the rights of its own user, and cooperates through API objects alone.
public struct ManagerRole: Sendable {
    let record: NodeRecord
    let world: World
    let log: Log

    public init(record: NodeRecord, world: World, log: Log) {
        self.record = record
        self.world = world
        self.log = log
    }

    public func run() async throws {
        let controllers = try Connect.component("controller-manager", to: record.address, world: world)
        let scheduler = try Connect.component("scheduler", to: record.address, world: world)
        try await withThrowingTaskGroup { group in
            group.addTask {
                var options = ControllerOptions()
                options.clusterCIDR = Addresses.pods
                options.rootCertificate = try Files.text("\(NodeBlueprint.Inside.configuration)/pki/ca.crt")
                let key = try Files.read("\(NodeBlueprint.Inside.configuration)/pki/service-account.key")
                let tokens = ServiceAccountTokens(issuer: ServiceAccountTokens.legacyIssuer, key: { key })
                options.tokenMaker = { namespace, account, uid, secret in
                    try tokens.legacyToken(namespace: namespace, serviceAccount: account, uid: uid, secret: secret)
                }
                try await runControllers(
                    client: controllers, world: world, log: log.named("controllers"), options: options)
            }
            group.addTask { try await runScheduler(client: scheduler, world: world, log: log.named("scheduler")) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
