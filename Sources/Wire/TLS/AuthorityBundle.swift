import Linux

/// The certificates of the authorities that this system trusts, in one file.
public enum AuthorityBundle {
    /// Where distributions keep it.
    private static let files = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ]

    /// `named`: the environment's `SSL_CERT_FILE`. Nil where there is none.
    public static func path(named: String?) -> String? {
        named.flatMap { $0.isEmpty ? nil : $0 } ?? files.first(where: Files.exists)
    }
}
