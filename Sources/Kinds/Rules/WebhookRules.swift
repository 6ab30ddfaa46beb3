import Document
import Schema

/// A webhook: what it is asked about, and how it is reached.
enum WebhookRules {
    private static let knownVersions = ["v1", "v1beta1"]

    static func webhook(_ hook: Document, _ path: String, mutating: Bool) -> [FieldError] {
        var errors = fullName(hook.text("name") ?? "", path + ".name")
        for (index, rule) in hook.list("rules").enumerated() {
            errors += AdmissionRuleRules.ruleWithOperations(rule, "\(path).rules[\(index)]")
        }
        errors += AdmissionRuleRules.choice(hook["failurePolicy"], path + ".failurePolicy", ["Fail", "Ignore"])
        errors += AdmissionRuleRules.choice(hook["matchPolicy"], path + ".matchPolicy", ["Equivalent", "Exact"])
        let effects = ["None", "NoneOnDryRun"]
        if hook["sideEffects"] == nil {
            errors.append(.required(path + ".sideEffects", "must specify one of " + effects.joined(separator: ", ")))
        }
        errors += AdmissionRuleRules.choice(hook["sideEffects"], path + ".sideEffects", effects)
        if let seconds = hook.number("timeoutSeconds"), !(1...30).contains(seconds) {
            errors.append(
                .invalid(
                    path + ".timeoutSeconds", Document(seconds), "the timeout value must be between 1 and 30 seconds"))
        }
        errors += MetadataRules.labelSelector(hook["namespaceSelector"], path + ".namespaceSelector")
        errors += MetadataRules.labelSelector(hook["objectSelector"], path + ".objectSelector")
        if mutating {
            errors += AdmissionRuleRules.choice(
                hook["reinvocationPolicy"], path + ".reinvocationPolicy", ["IfNeeded", "Never"])
        }
        errors += client(hook["clientConfig"] ?? .emptyObject, path + ".clientConfig")
        return errors
            + AdmissionPolicyRules.matchConditions(hook["matchConditions"], path + ".matchConditions", params: false)
    }

    private static func fullName(_ name: String, _ path: String) -> [FieldError] {
        if name.isEmpty { return [.required(path)] }
        let faults = Formats.dnsSubdomain(name)
        if !faults.isEmpty { return [.invalid(path, Document(name), faults.joined(separator: ","))] }
        guard name.split(separator: ".", omittingEmptySubsequences: false).count < 3 else { return [] }
        return [
            .invalid(path, Document(name), "should be a domain with at least three segments separated by dots")
        ]
    }

    static func reviewVersions(_ versions: Document?, _ path: String) -> [FieldError] {
        let here = path + ".admissionReviewVersions"
        let known = knownVersions.joined(separator: ", ")
        let given = versions?.elements ?? []
        if given.isEmpty { return [.required(here, "must specify one of " + known)] }
        var errors: [FieldError] = []
        var seen: Set<String> = []
        for (index, version) in given.enumerated() {
            let text = version.string ?? ""
            guard seen.insert(text).inserted else {
                errors.append(.invalid("\(here)[\(index)]", version, "duplicate version"))
                continue
            }
            errors += Formats.rfc1035Label(text).map { .invalid("\(here)[\(index)]", version, $0) }
        }
        if seen.isDisjoint(with: knownVersions) {
            errors.append(.invalid(here, versions, "must include at least one of " + known))
        }
        return errors
    }

    // MARK: Where it is

    static func client(_ client: Document, _ path: String) -> [FieldError] {
        switch (client.text("url"), client["service"]) {
        case (let url?, nil): return self.url(url, path + ".url")
        case (nil, let service?): return self.service(service, path + ".service")
        default: return [.required(path, "exactly one of url or service is required")]
        }
    }

    static func url(_ text: String, _ path: String) -> [FieldError] {
        let form = "; desired format: https://host[/path]"
        let url: WebhookURL
        do { url = try WebhookURL(text) } catch {
            return [.required(path, "url must be a valid URL: \(error.description)\(form)")]
        }
        var errors: [FieldError] = []
        if url.scheme != "https" {
            errors.append(.invalid(path, Document(url.scheme), "'https' is the only allowed URL scheme" + form))
        }
        if url.authority.isEmpty { errors.append(.invalid(path, "", "host must be specified" + form)) }
        if let user = url.user {
            errors.append(.invalid(path, Document(user), "user information is not permitted in the URL"))
        }
        if !url.fragment.isEmpty {
            errors.append(.invalid(path, Document(url.fragment), "fragments are not permitted in the URL"))
        }
        if !url.query.isEmpty {
            errors.append(.invalid(path, Document(url.query), "query parameters are not permitted in the URL"))
        }
        return errors
    }

    static func service(_ service: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for field in ["name", "namespace"] where (service.text(field) ?? "").isEmpty {
            errors.append(
                .required("\(path).\(field)", "service \(field) is required"))
        }
        let port = service.number("port") ?? 0
        let faults = Formats.port(port)
        if !faults.isEmpty {
            errors.append(
                .invalid(path + ".port", Document(port), "port is not valid: " + faults.joined(separator: ",")))
        }
        if let text = service.text("path"), !text.isEmpty, text != "/" {
            errors += servicePath(text, path + ".path")
        }
        return errors
    }

    private static func servicePath(_ text: String, _ path: String) -> [FieldError] {
        let value = Document(text)
        if text == "//" { return [.invalid(path, value, "segment[0] may not be empty")] }
        var errors: [FieldError] = []
        if !text.hasPrefix("/") { errors.append(.invalid(path, value, "must start with a '/'")) }
        var rest = text.dropFirst()
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        for (index, step) in rest.split(separator: "/", omittingEmptySubsequences: false).enumerated() {
            if step.isEmpty {
                errors.append(.invalid(path, value, "segment[\(index)] may not be empty"))
                continue
            }
            errors += Formats.dnsSubdomain(String(step)).map { .invalid(path, value, "segment[\(index)]: \($0)") }
        }
        return errors
    }
}

/// An absolute URL, taken apart as far as webhooks need it.
public struct WebhookURL: Sendable, Equatable {
    public var scheme = ""
    public var user: String?
    /// Host and port as they stand.
    public var authority = ""
    public var path = ""
    public var query = ""
    public var fragment = ""

    public struct ParseError: Error, Sendable { public let description: String }

    public init(_ text: String) throws(ParseError) {
        func fail(_ why: String) -> ParseError { ParseError(description: "parse \(Document(text).jsonText): \(why)") }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
            throw fail("net/url: invalid control character in URL")
        }
        var rest = Substring(text)
        if let mark = rest.firstIndex(of: "#") {
            fragment = String(rest[rest.index(after: mark)...])
            rest = rest[..<mark]
        }
        if let mark = rest.firstIndex(of: "?") {
            query = String(rest[rest.index(after: mark)...])
            rest = rest[..<mark]
        }
        if let colon = rest.firstIndex(of: ":"), !rest[..<colon].contains("/") {
            guard colon != rest.startIndex else { throw fail("missing protocol scheme") }
            let name = rest[..<colon]
            let isScheme = name.utf8.allSatisfy { Formats.isSchemeByte($0) } && name.first?.isLetter == true
            guard isScheme else { throw fail("first path segment in URL cannot contain colon") }
            scheme = name.lowercased()
            rest = rest[rest.index(after: colon)...]
        }
        guard rest.hasPrefix("//") else {
            path = String(rest)
            return
        }
        rest = rest.dropFirst(2)
        let end = rest.firstIndex(of: "/") ?? rest.endIndex
        var host = rest[..<end]
        path = String(rest[end...])
        if let mark = host.lastIndex(of: "@") {
            user = String(host[..<mark])
            host = host[host.index(after: mark)...]
        }
        authority = String(host)
        guard !host.contains(" ") else { throw fail("invalid character \" \" in host name") }
        if let port = portText, !port.allSatisfy({ $0.isASCII && $0.isNumber }) {
            throw fail("invalid port \":\(port)\" after host")
        }
    }

    private var portText: Substring? {
        let end = authority.lastIndex(of: "]") ?? authority.startIndex
        guard let colon = authority[end...].lastIndex(of: ":") else { return nil }
        return authority[authority.index(after: colon)...]
    }

    /// The host without brackets.
    public var host: String {
        var text = Substring(authority)
        if let portText { text = text.dropLast(portText.count + 1) }
        if text.hasPrefix("["), text.hasSuffix("]") { text = text.dropFirst().dropLast() }
        return String(text)
    }

    public var port: Int? { portText.flatMap { Int($0) } }
}

extension Formats {
    static func isSchemeByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
