/// Syntaxes of host names and paths, beside the names of objects.
extension Formats {
    private static let labelText = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

    /// A subdomain whose first part is a star.
    public static func wildcardSubdomain(_ text: String) -> [String] {
        var errors = text.utf8.count > 253 ? ["must be no more than 253 characters"] : []
        if !text.hasPrefix("*.") || !isSubdomain(text.dropFirst(2)) {
            errors.append(
                "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist "
                    + "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. "
                    + "'*.example.com', regex used for validation is '\\*\\.\(labelText)(\\.\(labelText))*')")
        }
        return errors
    }

    private static func isSubdomain(_ text: Substring) -> Bool {
        dnsSubdomain("a." + text).isEmpty || dnsSubdomain(String(text)).isEmpty
    }

    /// Whether every character may stand in the path of a domain-prefixed path.
    public static func isDomainPath(_ text: some StringProtocol) -> Bool {
        let others = "/-._~%!$&'()*+,;=:".utf8
        return !text.isEmpty
            && text.utf8.allSatisfy { byte in
                isAlphanumeric(byte) || others.contains(byte)
            }
    }
}
