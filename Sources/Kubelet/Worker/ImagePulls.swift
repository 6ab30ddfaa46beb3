import Basics
import Client
import Document
import Images
import Kinds
import Linux

/// How a container gets its image: the policy, the pod's secrets, the words that users read.
extension PodWorker {
    func resolveImage(_ container: String, _ reference: String, _ policy: String) async -> Result<
        Image, StartProblem
    > {
        do { _ = try ImageStore.normalize(reference) } catch {
            let message =
                "Failed to apply default image tag \"\(reference)\": couldn't parse image name \"\(reference)\": "
                + "invalid reference format"
            record("Warning", "InspectFailed", message, container: container)
            return .failure(StartProblem(reason: "InvalidImageName", message: message))
        }
        do {
            if policy != "Always", let image = try await present(reference) {
                record(
                    "Normal", "Pulled", "Container image \"\(reference)\" already present on machine",
                    container: container)
                return .success(image)
            }
        } catch {
            let message = "Failed to inspect image \"\(reference)\": \(error)"
            record("Warning", "InspectFailed", message, container: container)
            return .failure(StartProblem(reason: "ImageInspectError", message: message))
        }
        if policy == "Never" {
            let message = "Container image \"\(reference)\" is not present with pull policy of Never"
            record("Warning", "ErrImageNeverPull", message, container: container)
            return .failure(StartProblem(reason: "ErrImageNeverPull", message: message))
        }
        return await pull(reference, container)
    }

    /// An image that is here, kept from removal. One that is removed at this very moment is not here.
    private func present(_ reference: String) async throws -> Image? {
        guard let image = try await node.images.resolve(reference) else { return nil }
        do { try await node.images.use(image, pod: uid) } catch is ImageError { return nil }
        return image
    }

    private func pull(_ reference: String, _ container: String) async -> Result<Image, StartProblem> {
        do {
            let credentials = try await pullCredentials()
            record("Normal", "Pulling", "Pulling image \"\(reference)\"", container: container)
            let clock = node.world.clock
            let begin = clock.uptime
            let (image, took) = try await node.pullGate.run {
                let start = clock.uptime
                let image = try await node.images.pull(reference, credentials: credentials)
                return (image, clock.uptime - start)
            }
            try await node.images.use(image, pod: uid)
            let all = clock.uptime - begin
            record(
                "Normal", "Pulled",
                "Successfully pulled image \"\(reference)\" in \(Self.text(took)) (\(Self.text(all)) including waiting). "
                    + "Image size: \(image.size) bytes.",
                container: container)
            return .success(image)
        } catch {
            let full = (try? ImageStore.normalize(reference)) ?? reference
            let message = "failed to pull and unpack image \"\(full)\": \(error)"
            record("Warning", "Failed", "Failed to pull image \"\(reference)\": \(message)", container: container)
            return .failure(StartProblem(reason: "ErrImagePull", message: message))
        }
    }

    /// Go's form of a duration: `812ms`, `2.5s`, `1m3.5s`.
    private static func text(_ duration: Duration) -> String {
        let milliseconds = duration.wholeMilliseconds
        guard milliseconds >= 1000 else { return "\(milliseconds)ms" }
        let minutes = milliseconds / 60_000
        let seconds = milliseconds % 60_000
        var fraction = String(1000 + seconds % 1000).dropFirst()
        while fraction.hasSuffix("0") { fraction = fraction.dropLast() }
        return (minutes > 0 ? "\(minutes)m" : "") + "\(seconds / 1000)" + (fraction.isEmpty ? "s" : ".\(fraction)s")
    }

    // MARK: Secrets

    /// The credentials of the pod's pull secrets, to which the API server has added those of its service account.
    /// They are read when they are needed, not watched: most pods never need them.
    private func pullCredentials() async throws -> CredentialSet {
        let pod = self.pod
        var all = CredentialSet()
        var missing: [String] = []
        for reference in pod.list("spec", "imagePullSecrets") {
            guard let name = reference.text("name"), !name.isEmpty else { continue }
            do {
                let secret = try await node.client.get(
                    .secrets, namespace: pod.text("metadata", "namespace") ?? "default", name: name)
                all.add(try PullSecret.credentials(of: secret, name: name))
            } catch let error as CancellationError {
                throw error
            } catch {
                node.log.debug("pod \(uid): pull secret \(name): \(error)")
                missing.append(name)
            }
        }
        if !missing.isEmpty {
            record(
                "Warning", "FailedToRetrieveImagePullSecret",
                "Unable to retrieve some image pull secrets (\(missing.joined(separator: ", "))); "
                    + "attempting to pull the image may not succeed.", container: nil)
        }
        return all
    }
}

/// The two forms of secrets that hold registries' credentials.
enum PullSecret {
    static func credentials(of secret: Document, name: String) throws -> CredentialSet {
        let object = "secret \(name)"
        if let data = secret.text("data", ".dockerconfigjson") {
            return try CredentialSet(file: try json(data, object), in: object)
        }
        if let data = secret.text("data", ".dockercfg") {
            return try CredentialSet(auths: try json(data, object), in: object)
        }
        throw ImageError(object, "holds neither .dockerconfigjson nor .dockercfg")
    }

    private static func json(_ data: String, _ object: String) throws -> Document {
        guard let bytes = Base64.decode(data) else { throw ImageError(object, "is no base64") }
        do { return try Document(json: bytes) } catch { throw ImageError(object, "is no JSON: \(error)") }
    }
}

extension PodLifecycle {
    /// The failed pull has been shown; from now on the user reads that we wait.
    mutating func announceImagePause(_ index: Int, _ specification: Document) {
        let name = containers[index].name
        guard case .failed("ErrImagePull", _, _, _) = containers[index].image,
            announcedImagePauses.insert(name).inserted
        else { return }
        let image = specification.text("image") ?? ""
        pending.append(
            .event(
                type: "Normal", reason: "BackOff", message: "Back-off pulling image \"\(image)\"", container: name))
        warn("Failed", "Error: ImagePullBackOff", container: name)
    }
}
