#include "engine/dtls/dtls_fingerprint.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace nexus {

namespace {

bool EqualIgnoringCase(const std::string& left, const std::string& right) {
  return left.size() == right.size() &&
         std::equal(left.begin(), left.end(), right.begin(), [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
         });
}

const EVP_MD* DigestNamed(const std::string& algorithm) {
  if (EqualIgnoringCase(algorithm, "sha-256")) return EVP_sha256();
  if (EqualIgnoringCase(algorithm, "sha-384")) return EVP_sha384();
  if (EqualIgnoringCase(algorithm, "sha-512")) return EVP_sha512();
  return nullptr;  // md5 and sha-1 are not accepted
}

}  // namespace

std::string FingerprintOf(const x509_st* certificate, const std::string& algorithm) {
  const EVP_MD* digest = DigestNamed(algorithm);
  std::array<uint8_t, EVP_MAX_MD_SIZE> bytes{};
  unsigned int size = 0;
  if (digest == nullptr || X509_digest(certificate, digest, bytes.data(), &size) != 1) return {};
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    if (i != 0) text += ':';
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 0xF];
  }
  return text;
}

bool MatchesAny(const x509_st* certificate, const std::vector<DtlsFingerprint>& fingerprints) {
  return std::any_of(fingerprints.begin(), fingerprints.end(), [&](const DtlsFingerprint& expected) {
    const std::string actual = FingerprintOf(certificate, expected.algorithm);
    return !actual.empty() && EqualIgnoringCase(actual, expected.value);
  });
}

}  // namespace nexus
