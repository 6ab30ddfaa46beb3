import Basics
import Document
import Kinds
import Schema
import Store

/// The IPAddress objects of Services: each cluster address has one, which says whose it is. Clients read them, and an
/// address that somebody else has written down as his own is not given out.
extension Resources {
    private static let manager = "ipallocator.k8s.io"
    private static let managerLabel = "ipaddress.kubernetes.io/managed-by"
    private static let familyLabel = "ipaddress.kubernetes.io/ip-family"

    private var addressKind: ResourceInfo? {
        registry.resource(group: "networking.k8s.io", version: "v1", plural: "ipaddresses")
    }

    /// Writes down that `addresses` belong to a Service. When one cannot be written, none is.
    func recordAddresses(_ addresses: Set<IPAddress>, of service: Document) async throws {
        guard !addresses.isEmpty, let kind = addressKind else { return }
        var written: Set<IPAddress> = []
        for address in addresses.sorted(by: { $0.description < $1.description }) {
            do {
                _ = try await store.create(
                    ObjectCodec.key(kind, namespace: "", name: address.description),
                    ObjectCodec.encoding(addressObject(address, of: service)))
                written.insert(address)
            } catch StoreError.exists {
                // Left over from a Service of the same name, or written by hand for it.
                if try await holds(address, service, kind) { continue }
                await forgetAddresses(written)
                throw APIStatus.internalError("the address \(address) belongs to another object of the cluster")
            } catch {
                await forgetAddresses(written)
                throw error
            }
        }
    }

    private func holds(_ address: IPAddress, _ service: Document, _ kind: ResourceInfo) async throws -> Bool {
        guard let object = try await document(kind, namespace: "", name: address.description) else { return false }
        return Self.parent(of: object)
            == Self.parentKey(service.text("metadata", "namespace") ?? "", service.text("metadata", "name") ?? "")
    }

    private static func parentKey(_ namespace: String, _ name: String) -> String { "\(namespace)/\(name)" }

    /// Namespace and name of the Service that an address belongs to, nil where it is no Service.
    private static func parent(of address: Document) -> String? {
        guard let parent = address.at("spec", "parentRef"), parent.text("resource") == "services",
            (parent.text("group") ?? "").isEmpty
        else { return nil }
        return parentKey(parent.text("namespace") ?? "", parent.text("name") ?? "")
    }

    private func addressObject(_ address: IPAddress, of service: Document) -> Document {
        [
            "metadata": [
                "name": Document(address.description), "uid": Document(Identifier.uuid(from: world.random)),
                "creationTimestamp": Document(world.clock.now.description),
                "labels": [
                    Self.familyLabel: address.isIPv6 ? "IPv6" : "IPv4",
                    Self.managerLabel: Document(Self.manager),
                ],
            ],
            "spec": [
                "parentRef": [
                    "resource": "services", "namespace": service.at("metadata", "namespace") ?? "",
                    "name": service.at("metadata", "name") ?? "",
                ]
            ],
        ]
    }

    /// Removes the objects of a deleted Service's addresses.
    func forgetAddresses(of service: Document, _ resource: ResourceInfo) async {
        guard resource.qualifiedName == "services" else { return }
        await forgetAddresses(ServiceAllocations.addresses(of: service))
    }

    /// Removes the objects of addresses that no Service has any more. One that stays is removed by the next repair.
    func forgetAddresses(_ addresses: Set<IPAddress>) async {
        guard !addresses.isEmpty, let kind = addressKind else { return }
        for address in addresses {
            let key = ObjectCodec.key(kind, namespace: "", name: address.description)
            guard let record = try? await store.get(key), let object = try? ObjectCodec.document(record.value, kind)
            else { continue }
            guard object.at("metadata", "labels", Self.managerLabel)?.string == Self.manager else { continue }
            _ = try? await store.delete(key, expected: record.revision, ObjectCodec.encoding(object))
        }
    }

    /// Brings Services and the objects of their addresses together again after a write that was cut short.
    func repairAddresses() async throws {
        guard let kind = addressKind else { return }
        let services = try await objects("services")
        var owners: [String: Document] = [:]
        for service in services {
            for address in ServiceAllocations.addresses(of: service) { owners[address.description] = service }
        }
        let known = try await objects("ipaddresses", group: kind.group)
        let names = Set(known.compactMap { $0.text("metadata", "name") })
        for (name, service) in owners where !names.contains(name) {
            guard let address = IPAddress(name) else { continue }
            try await recordAddresses([address], of: service)
        }
        let orphans = known.compactMap { object -> IPAddress? in
            guard object.at("metadata", "labels", Self.managerLabel)?.string == Self.manager,
                let name = object.text("metadata", "name"), owners[name] == nil
            else { return nil }
            return IPAddress(name)
        }
        // A Service that is just being made has its addresses first: only what the allocator does not know is left over.
        await forgetAddresses(allocations.unknown(Set(orphans)))
    }
}
