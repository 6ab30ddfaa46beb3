import Basics
import Document
import Kinds
import Schema

/// Brings objects of a custom resource from one version to another, as the definition says.
struct ObjectConverter: Sendable {
    let webhooks: ConversionWebhooks

    /// The objects, each in the version it says itself, in `version` and without what that version does not know.
    func convert(
        _ objects: [Document], _ definition: ServedDefinition, to version: String
    ) async throws -> [Document] {
        guard let target = definition.versions[version] else {
            throw APIStatus.internalError("\(definition.name) has no version \(version)")
        }
        var result = objects
        let foreign = objects.indices.filter { objects[$0].text("apiVersion") != target.apiVersion }
        guard !foreign.isEmpty else { return result }
        let conversion = definition.spec["conversion"] ?? .emptyObject
        if conversion.text("strategy") == "Webhook" {
            let converted = try await webhooks.convert(
                foreign.map { objects[$0] }, to: target.apiVersion, conversion: conversion["webhook"] ?? .emptyObject)
            for (index, object) in zip(foreign, converted) { result[index] = object }
        } else {
            for index in foreign { result[index]["apiVersion"] = Document(target.apiVersion) }
        }
        for index in foreign { Kinds.registry.prune(&result[index], type: target.type) }
        return result
    }
}
