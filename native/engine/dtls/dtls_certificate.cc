#include "engine/dtls/dtls_certificate.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <utility>

#include "engine/dtls/dtls_fingerprint.h"
#include "engine/dtls/dtls_record.h"

namespace nexus {

namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

constexpr long kDay = 24 * 3600;

// Only suites with forward secrecy (RFC 8827 section 6.5) and authenticated encryption.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

Certificate SelfSign(EVP_PKEY* key) {
  Certificate certificate(X509_new(), &X509_free);
  uint64_t serial = 0;
  if (!certificate || RAND_bytes(reinterpret_cast<uint8_t*>(&serial), sizeof(serial)) != 1)
    return {nullptr, &X509_free};
  X509* const x509 = certificate.get();
  X509_NAME* const name = X509_get_subject_name(x509);
  const auto* const common_name = reinterpret_cast<const uint8_t*>("nexus");  // says nothing about the server
  // Valid from yesterday, because clocks differ. Peers ignore the dates (RFC 8827 section 6.5); 30 days are
  // customary.
  const bool ok = X509_set_version(x509, X509_VERSION_3) == 1 &&
                  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1) == 1 &&
                  X509_gmtime_adj(X509_getm_notBefore(x509), -kDay) != nullptr &&
                  X509_gmtime_adj(X509_getm_notAfter(x509), 30 * kDay) != nullptr &&
                  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
                  X509_set_issuer_name(x509, name) == 1 && X509_set_pubkey(x509, key) == 1 &&
                  X509_sign(x509, key, EVP_sha256()) != 0;
  if (!ok) certificate.reset();
  return certificate;
}

Context MakeContext(X509* certificate, EVP_PKEY* key) {
  Context context(SSL_CTX_new(DTLS_method()), &SSL_CTX_free);
  if (!context) return context;
  SSL_CTX* const ctx = context.get();
  // The peer's certificate only carries a key whose fingerprint came by signaling, so even an old device's
  // RSA 1024 key is as good as its fingerprint. The security level, which would reject it, is the lowest that
  // excludes export keys.
  SSL_CTX_set_security_level(ctx, 1);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_max_cert_list(ctx, kDtlsMaxHandshakeSize);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  const bool ok = SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) == 1 &&
                  SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) == 1 &&
                  SSL_CTX_set_cipher_list(ctx, kCiphers) == 1 &&
                  SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1 &&
                  SSL_CTX_use_certificate(ctx, certificate) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;
  if (!ok) context.reset();
  return context;
}

}  // namespace

std::shared_ptr<const DtlsCertificate> DtlsCertificate::FromKey(evp_pkey_st* key) {
  if (key == nullptr) return nullptr;
  const Certificate certificate = SelfSign(key);
  if (!certificate) return nullptr;
  Context context = MakeContext(certificate.get(), key);
  if (!context) return nullptr;
  InstallFingerprintCheck(context.get());
  std::string fingerprint = FingerprintOf(certificate.get(), "sha-256");
  return std::shared_ptr<const DtlsCertificate>(
      new DtlsCertificate(context.release(), std::move(fingerprint)));
}

std::shared_ptr<const DtlsCertificate> DtlsCertificate::Generate() {
  const Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  return FromKey(key.get());
}

std::shared_ptr<const DtlsCertificate> DtlsCertificate::GenerateRsa() {
  const Key key(EVP_RSA_gen(2048), &EVP_PKEY_free);
  return FromKey(key.get());
}

DtlsCertificate::DtlsCertificate(ssl_ctx_st* context, std::string fingerprint)
    : context_(context), fingerprint_(std::move(fingerprint)) {}

DtlsCertificate::~DtlsCertificate() { SSL_CTX_free(context_); }

}  // namespace nexus
