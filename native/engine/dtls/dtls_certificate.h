// A self-signed certificate and its fingerprint (RFC 8122), with the OpenSSL context that all handshakes
// share. One per process is enough: identity comes from the fingerprint in signaling, not from the
// certificate.
#pragma once

#include <memory>
#include <optional>
#include <string>

struct evp_pkey_st;
struct ssl_ctx_st;

namespace nexus {

class DtlsCertificate {
 public:
  // ECDSA P-256. Null if OpenSSL fails.
  static std::shared_ptr<const DtlsCertificate> Generate();
  // RSA 2048, as in older peers; slow, for tests.
  static std::shared_ptr<const DtlsCertificate> GenerateRsa();
  ~DtlsCertificate();
  DtlsCertificate(const DtlsCertificate&) = delete;
  DtlsCertificate& operator=(const DtlsCertificate&) = delete;

  // SHA-256 as "AA:BB:..".
  const std::string& fingerprint() const { return fingerprint_; }
  // For DtlsEndpoint; safe to share between threads.
  ssl_ctx_st* context() const { return context_; }

 private:
  static std::shared_ptr<const DtlsCertificate> FromKey(evp_pkey_st* key);
  DtlsCertificate(ssl_ctx_st* context, std::string fingerprint);

  ssl_ctx_st* context_;
  std::string fingerprint_;
};

// Makes every handshake of the context verify the peer's certificate by its fingerprint (dtls_session.cc).
void InstallFingerprintCheck(ssl_ctx_st* context);

}  // namespace nexus
