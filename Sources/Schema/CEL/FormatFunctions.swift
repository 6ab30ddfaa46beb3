extension CEL {
    struct NamedFormat: OpaqueValue {
        let name: String
        var typeName: String { "kubernetes.NamedFormat" }
        var size: Int? { nil }
        func isEqual(to other: any OpaqueValue) -> Bool { (other as? NamedFormat)?.name == name }

        static let names = [
            "dns1123Label", "dns1123Subdomain", "dns1035Label", "qualifiedName", "dns1123LabelPrefix",
            "dns1123SubdomainPrefix", "dns1035LabelPrefix", "labelValue", "uri", "uuid", "byte", "date", "datetime",
        ]

        /// Why a text is not of the format.
        func problems(_ text: String) -> [String] {
            switch name {
            case "dns1123Label": Formats.dnsLabel(text)
            case "dns1123Subdomain": Formats.dnsSubdomain(text)
            case "dns1035Label": Formats.rfc1035Label(text)
            case "qualifiedName": Formats.qualifiedName(text)
            case "dns1123LabelPrefix": Formats.dnsLabel(Self.withoutTrailingDash(text))
            case "dns1123SubdomainPrefix": Formats.dnsSubdomain(Self.withoutTrailingDash(text))
            case "dns1035LabelPrefix": Formats.rfc1035Label(Self.withoutTrailingDash(text))
            case "labelValue": Formats.labelValue(text)
            case "uri": URLValue(text) == nil ? ["parse \(Conversion.quoted(text)): invalid URI for request"] : []
            case "uuid": Self.isUUID(text) ? [] : ["does not match the UUID format"]
            case "byte": CEL.decodeBase64(text) == nil ? ["invalid base64"] : []
            case "date": text.utf8.count == 10 && Instant(dateOrTime: text) != nil ? [] : ["invalid date"]
            default: Instant(text) == nil ? ["invalid datetime"] : []
            }
        }

        /// What a name is generated from may end in a dash.
        private static func withoutTrailingDash(_ text: String) -> String {
            text.utf8.count > 1 && text.hasSuffix("-") ? text.dropLast() + "a" : text
        }

        private static func isUUID(_ text: String) -> Bool {
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            return parts.map(\.utf8.count) == [8, 4, 4, 4, 12]
                && parts.allSatisfy { $0.unicodeScalars.allSatisfy { $0.properties.isASCIIHexDigit } }
        }
    }

    enum FormatFunctions {
        static func add(to table: inout FunctionTable) {
            for name in NamedFormat.names {
                table["format.\(name)"] = { (a) throws(Failure) in .opaque(NamedFormat(name: name)) }
            }
            table["format.named"] = { (a) throws(Failure) in
                let name = try StringFunctions.one("format.named", a)
                return .optional(NamedFormat.names.contains(name) ? .opaque(NamedFormat(name: name)) : nil)
            }
            table["validate"] = { (a) throws(Failure) in
                guard a.count == 2, case .opaque(let value) = a[0], let format = value as? NamedFormat,
                    case .string(let text) = a[1]
                else { throw .noSuchOverload("validate", a) }
                let problems = format.problems(text)
                return .optional(problems.isEmpty ? nil : .list(.values(problems.map { .string($0) })))
            }
        }
    }
}
