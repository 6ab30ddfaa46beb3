#pragma once
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

// OpenSSL's macros as functions, since Swift sees only functions.

static inline int lab_ssl_ctx_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

static inline long lab_bio_read_all(BIO *bio, void *buffer, int count) { return BIO_read(bio, buffer, count); }
static inline size_t lab_bio_pending(BIO *bio) { return BIO_ctrl_pending(bio); }
static inline long lab_bio_bytes(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }

// Whether the peer is who it says is decided after the handshake, from SSL_get_verify_result:
// a client whose certificate is bad gets an HTTP answer that says so, not a bare alert.
static inline int lab_accept_any_certificate(int ok, X509_STORE_CTX *context) {
    (void)ok;
    (void)context;
    return 1;
}

static inline int lab_select_http11(
    SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *offered, unsigned int count,
    void *unused) {
    (void)ssl;
    (void)unused;
    static const unsigned char ours[] = "\x08http/1.1";
    if (SSL_select_next_proto((unsigned char **)out, length, ours, 9, offered, count) == OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_OK;
    // No common protocol: go on without, as HTTP/1.1 is what everybody falls back to.
    return SSL_TLSEXT_ERR_NOACK;
}

static inline void lab_ssl_ctx_common(SSL_CTX *context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(
        context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
}

static inline void lab_ssl_ctx_server(SSL_CTX *context, int request_certificate) {
    lab_ssl_ctx_common(context);
    SSL_CTX_set_alpn_select_cb(context, lab_select_http11, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    // Tickets carry the session; without an identity OpenSSL refuses to resume where certificates are asked for.
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"lab", 3);
    SSL_CTX_set_num_tickets(context, 1);
    if (request_certificate) SSL_CTX_set_verify(context, SSL_VERIFY_PEER, lab_accept_any_certificate);
}

static inline void lab_ssl_ctx_client(SSL_CTX *context, int verify) {
    lab_ssl_ctx_common(context);
    SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x08http/1.1", 9);
    SSL_CTX_set_verify(context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
}

static inline int lab_ssl_set_server_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline EVP_PKEY *lab_new_p256_key(void) { return EVP_EC_gen("P-256"); }
static inline EVP_PKEY *lab_new_rsa_key(unsigned int bits) { return EVP_RSA_gen(bits); }

// Stacks are macros all the way down, so walks over them stay here.

static inline int lab_copy_extensions(X509 *certificate, STACK_OF(X509_EXTENSION) *extensions) {
    for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++)
        if (!X509_add_ext(certificate, sk_X509_EXTENSION_value(extensions, i), -1)) return 0;
    return 1;
}

static inline void lab_free_extensions(STACK_OF(X509_EXTENSION) *extensions) {
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static inline void *lab_alternative_names(X509 *certificate) {
    return X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
}

static inline void lab_free_alternative_names(void *names) { GENERAL_NAMES_free((GENERAL_NAMES *)names); }

// The kind of the name at `index` (GEN_DNS, GEN_IPADD, ...), or -1 past the last.
static inline int lab_alternative_name(void *names, int index, const unsigned char **bytes, int *length) {
    GENERAL_NAMES *all = (GENERAL_NAMES *)names;
    if (index >= sk_GENERAL_NAME_num(all)) return -1;
    GENERAL_NAME *name = sk_GENERAL_NAME_value(all, index);
    const ASN1_STRING *text = name->type == GEN_DNS ? name->d.dNSName : name->type == GEN_IPADD ? name->d.iPAddress : NULL;
    *bytes = text ? ASN1_STRING_get0_data(text) : NULL;
    *length = text ? ASN1_STRING_length(text) : 0;
    return name->type;
}
