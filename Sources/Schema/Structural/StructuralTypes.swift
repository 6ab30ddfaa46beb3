import Document

// A structural schema as declared types, for the engines that walk fields: apply above all.

extension TypeInfo {
    /// The type of a custom kind. Its fields have the form of the schema; everything else asks the schema itself.
    public static func custom(
        kind: String, group: String, version: String, schema: StructuralSchema, metadata: TypeID,
        rules: (any CustomRules)? = nil
    ) -> TypeID {
        let reversed = group.split(separator: ".").reversed().joined(separator: ".")
        let type = TypeInfo(name: kind, group: group, version: version, fullName: "\(reversed).\(version).\(kind)")
        type.isObject = true
        type.documentation = schema.documentation
        type.custom = CustomType(schema: schema, metadata: metadata, rules: rules)
        for name in ["apiVersion", "kind"] { type.add(FieldInfo(name: name, shape: .string)) }
        type.add(FieldInfo(name: "metadata", shape: .object(metadata.info)))
        type.addFields(of: schema, skipping: StructuralSchema.resourceFields, metadata: metadata.info)
        return TypeID(type)
    }

    /// The type of lists of a custom kind.
    static func customList(of type: TypeInfo, kind: String, metadata: TypeID) -> TypeInfo {
        let package = type.fullName.dropLast(type.name.count)
        let list = TypeInfo(name: kind, group: type.group, version: type.version, fullName: package + kind)
        list.isList = true
        list.documentation = "A list of \(type.name) objects."
        for name in ["apiVersion", "kind"] { list.add(FieldInfo(name: name, shape: .string)) }
        list.add(FieldInfo(name: "metadata", shape: .object(metadata.info)))
        var items = FieldInfo(name: "items", shape: .list(.object(type)))
        items.isRequired = true
        list.add(items)
        return list
    }

    private func add(_ field: FieldInfo) {
        index[field.name] = fields.count
        fields.append(field)
    }

    private func addFields(of schema: StructuralSchema, skipping: Set<String>, metadata: TypeInfo) {
        preservesUnknownFields = schema.preservesUnknownFields || schema.isEmbeddedResource
        for property in schema.properties where !skipping.contains(property.name) {
            let shape = shape(of: property.schema, name: name + "_" + property.name, metadata: metadata)
            var field = FieldInfo(name: property.name, shape: shape)
            field.isOptional = true
            field.listKind = property.schema.listKind
            field.isAtomicStructure = property.schema.mapType == .atomic
            field.documentation = property.schema.documentation
            add(field)
        }
    }

    private func shape(of schema: StructuralSchema, name: String, metadata: TypeInfo) -> Shape {
        if schema.isIntOrString { return .intOrString }
        switch schema.type {
        case "string": return .string
        case "integer": return .int64
        case "number": return .double
        case "boolean": return .bool
        case "array":
            return schema.items.map { .list(shape(of: $0, name: name, metadata: metadata)) } ?? .any
        case "object":
            if let other = schema.additional.schema { return .map(shape(of: other, name: name, metadata: metadata)) }
            if schema.properties.isEmpty, schema.preservesUnknownFields, !schema.isEmbeddedResource { return .any }
            let inner = TypeInfo(name: name, group: group, version: version, fullName: fullName)
            inner.isAtomic = schema.mapType == .atomic
            if schema.isEmbeddedResource {
                for name in ["apiVersion", "kind"] { inner.add(FieldInfo(name: name, shape: .string)) }
                inner.add(FieldInfo(name: "metadata", shape: .object(metadata)))
            }
            inner.addFields(
                of: schema, skipping: schema.isEmbeddedResource ? StructuralSchema.resourceFields : [],
                metadata: metadata)
            return .object(inner)
        default: return .any
        }
    }
}
