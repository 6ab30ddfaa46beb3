import Schema

extension GroupText {
    static let certificatesV1 = GroupText(
        group: "certificates.k8s.io", version: "v1", package: "io.k8s.api.certificates.v1",
        texts: """
            kind CertificateSigningRequest certificatesigningrequests certificatesigningrequest cluster short=csr
              /approval get,patch,update
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Age string "Time since it was made."
              column SignerName string "Who is asked to sign."
              column Requestor string "Who asks."
              column RequestedDuration string "Validity that is asked for."
              column Condition string "What became of it."

            type CertificateSigningRequest object  "Asks a signer for a certificate."
              spec   CertificateSigningRequestSpec required  "What is asked for; it never changes."
              status CertificateSigningRequestStatus  "What became of it."

            type CertificateSigningRequestCondition order(type,status)  "One aspect of a request's state."
              lastTransitionTime time  "When the status last changed."
              lastUpdateTime     time  "When the condition was last written."
              message            string  "Explanation for people."
              reason             string  "Reason in one CamelCase word."
              status             string required  "True, False or Unknown; Approved, Denied and Failed can only be True."
              type               string required  "Its type: Approved, Denied, Failed or the signer's own."

            type CertificateSigningRequestSpec  "What a request asks for, and who made it."
              expirationSeconds int32?  "Validity that is asked for, at least 600 seconds; the signer decides."
              extra             {[string]}  "Extra facts about the user; set by the server."
              groups            [string] atomic  "Groups of the user; set by the server."
              request           bytes required  "The request: PKCS#10 in PEM."
              signerName        string required  "Who shall sign, as domain/path."
              uid               string  "Identifier of the user; set by the server."
              usages            [string] atomic  "What the certificate shall be good for."
              username          string  "Name of the user; set by the server."

            type CertificateSigningRequestStatus  "State of a request."
              certificate bytes  "The certificate in PEM, once it is issued."
              conditions  [CertificateSigningRequestCondition] map(type)  "State of the object, one entry a type."
            """)
}
