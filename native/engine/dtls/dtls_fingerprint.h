// Certificate fingerprints as signaling carries them (RFC 8122 section 5).
#pragma once

#include <string>
#include <vector>

struct x509_st;

namespace nexus {

// As in `a=fingerprint`: algorithm in any case ("sha-256", "sha-384", "sha-512"), value in any case.
struct DtlsFingerprint {
  std::string algorithm;
  std::string value;
};

// "AA:BB:.." or empty when the algorithm is not one of the three.
std::string FingerprintOf(const x509_st* certificate, const std::string& algorithm);

// One match suffices: RFC 8122 section 5 lets a peer name several certificates or several hashes of one.
bool MatchesAny(const x509_st* certificate, const std::vector<DtlsFingerprint>& fingerprints);

}  // namespace nexus
