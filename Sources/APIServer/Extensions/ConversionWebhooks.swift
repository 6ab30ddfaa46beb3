import Basics
import Document
import Kinds
import Wire

/// Asks the server that a definition names to convert objects between versions.
struct ConversionWebhooks: Sendable {
    let connector: ServiceConnector
    let random: any Randomness

    private static let timeout = Duration.seconds(30)
    private static let answerLimit = 64 << 20
    private static let understood = ["v1", "v1beta1"]

    /// The objects in the version `apiVersion`, in the same order.
    func convert(_ objects: [Document], to apiVersion: String, conversion: Document) async throws -> [Document] {
        let kind = objects.first?.text("kind") ?? ""
        func failure(_ why: String) -> APIStatus {
            .failure(500, "", "conversion webhook for \(apiVersion), Kind=\(kind) failed: \(why)")
        }
        let versions = conversion.list("conversionReviewVersions").compactMap(\.string)
        guard let version = versions.first(where: Self.understood.contains) else {
            throw failure("no supported ConversionReview versions")
        }
        let uid = Identifier.uuid(from: random)
        let review: Document = [
            "kind": "ConversionReview", "apiVersion": Document("apiextensions.k8s.io/\(version)"),
            "request": [
                "uid": Document(uid), "desiredAPIVersion": Document(apiVersion), "objects": Document(objects),
            ],
        ]
        let answer: Document
        do {
            answer = try await ask(review, conversion["clientConfig"] ?? .emptyObject)
        } catch let error as CancellationError {
            throw error
        } catch {
            throw failure("\(error)")
        }
        let response = answer["response"] ?? .emptyObject
        guard response.text("uid") == uid else {
            throw failure(
                "expected response.uid=\(Document(uid).jsonText), got \(Document(response.text("uid") ?? "").jsonText)")
        }
        guard response.text("result", "status") == "Success" else {
            throw failure(response.text("result", "message") ?? "the answer names no reason")
        }
        let converted = response.list("convertedObjects")
        guard converted.count == objects.count else {
            throw failure("returned \(converted.count) objects, expected \(objects.count)")
        }
        var result: [Document] = []
        for (index, (old, new)) in zip(objects, converted).enumerated() {
            do throws(Fault) { result.append(try Self.checked(new, from: old, apiVersion, index)) } catch {
                throw failure(error.text)
            }
        }
        return result
    }

    private func ask(_ review: Document, _ client: Document) async throws -> Document {
        let (target, path, url) = try await connector.target(client: client, timeout: Self.timeout)
        let headers = Headers([
            ("Content-Type", "application/json"), ("Accept", "application/json, */*"),
            ("User-Agent", "kube-apiserver-admission"),
        ])
        let transport = try connector.transport(target)
        let stream: any ResponseStream
        do {
            stream = try await transport.send(Request("POST", path, headers: headers, body: review.json))
        } catch let error as CancellationError {
            throw error
        } catch {
            throw ServiceConnector.Failure(description: "Post \"\(url)?timeout=30s\": \(error)")
        }
        let bytes = try await stream.collect(limit: Self.answerLimit)
        guard (200..<300).contains(stream.status) else {
            throw ServiceConnector.Failure(
                description:
                    "the server answered \(stream.status): \(String(decoding: bytes.prefix(1_024), as: UTF8.self))")
        }
        return try Document(json: bytes, deepest: Document.deepestInput)
    }

    private struct Fault: Error { let text: String }

    /// A converter may change an object's content, labels and annotations, and nothing else of its metadata.
    private static func checked(
        _ new: Document, from old: Document, _ apiVersion: String, _ index: Int
    ) throws(Fault) -> Document {
        func fault(_ what: String) -> Fault {
            Fault(text: "invalid converted object at index \(index): \(what)")
        }
        guard new.isObject else { throw fault("must be an object") }
        if new.text("apiVersion") != apiVersion {
            throw fault("invalid apiVersion: must be \(apiVersion)")
        }
        if new.text("kind") != old.text("kind") { throw fault("invalid kind: must be \(old.text("kind") ?? "")") }
        for field in ["name", "namespace", "uid"]
        where new.text("metadata", field) ?? "" != old.text("metadata", field) ?? "" {
            throw fault("must have the same metadata.\(field)")
        }
        var metadata = old["metadata"] ?? .emptyObject
        for field in ["labels", "annotations"] { metadata[field] = new.at("metadata", field) }
        var result = new
        result["metadata"] = metadata
        return result
    }
}
