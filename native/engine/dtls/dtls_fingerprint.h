// Certificate fingerprints as in signaling (RFC 8122 section 5).
#pragma once

#include <string>
#include <vector>

struct x509_st;

namespace nexus {

// As in `a=fingerprint`: algorithm ("sha-256", "sha-384" or "sha-512") and value, both in any case.
struct DtlsFingerprint {
  std::string algorithm;
  std::string value;
};

// "AA:BB:..", or empty if the algorithm is not one of the three.
std::string FingerprintOf(const x509_st* certificate, const std::string& algorithm);

// One match suffices: a peer may list several certificates, or several hashes of one (RFC 8122 section 5).
bool MatchesAny(const x509_st* certificate, const std::vector<DtlsFingerprint>& fingerprints);

}  // namespace nexus
