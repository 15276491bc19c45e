#include "engine/control/command_check.h"

#include <algorithm>
#include <bitset>
#include <cctype>
#include <utility>

namespace nexus {
namespace {

constexpr uint8_t kMaxPayloadType = 127;
constexpr size_t kMaxPayloadTypesOfTrack = 8;
// RFC 5761 section 4: with rtcp-mux these would be taken for RTCP.
bool IsUsablePayloadType(PayloadType type) {
  return type.value <= kMaxPayloadType && (type.value < 64 || type.value > 95);
}

// Bytes of the digest; nothing for a hash function that DTLS does not verify.
std::optional<size_t> DigestSize(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "sha-256") return 32;
  if (name == "sha-384") return 48;
  if (name == "sha-512") return 64;
  return std::nullopt;
}

bool IsColonHex(const std::string& value, size_t bytes) {
  if (value.size() != bytes * 3 - 1) return false;
  for (size_t i = 0; i < value.size(); ++i) {
    const bool right =
        i % 3 == 2 ? value[i] == ':' : std::isxdigit(static_cast<unsigned char>(value[i])) != 0;
    if (!right) return false;
  }
  return true;
}

}  // namespace

// RFC 8839 section 5.4: ufrag 4 to 256 characters, password 22 to 256.
std::optional<std::string> CheckIceCredentials(const IceCredentials& credentials) {
  const auto is_ice_char = [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '/'; };
  if (credentials.ufrag.size() < 4 || credentials.ufrag.size() > 256)
    return "remote_ufrag has 4 to 256 characters";
  if (credentials.pwd.size() < 22 || credentials.pwd.size() > 256)
    return "remote_pwd has 22 to 256 characters";
  if (!std::all_of(credentials.ufrag.begin(), credentials.ufrag.end(), is_ice_char) ||
      !std::all_of(credentials.pwd.begin(), credentials.pwd.end(), is_ice_char)) {
    return "ICE credentials are of letters, digits, '+' and '/'";
  }
  return std::nullopt;
}

std::optional<std::string> CheckFingerprints(const std::vector<DtlsFingerprint>& fingerprints) {
  bool verifiable = false;
  for (const DtlsFingerprint& fingerprint : fingerprints) {
    const std::optional<size_t> size = DigestSize(fingerprint.algorithm);
    if (!size) continue;  // RFC 8122 section 5: ignore hash functions that are not supported
    if (!IsColonHex(fingerprint.value, *size))
      return "fingerprint is not colon-separated hex of its hash's size";
    verifiable = true;
  }
  if (!verifiable) return "no fingerprint with sha-256, sha-384 or sha-512";
  return std::nullopt;
}

std::optional<std::string> CheckCodecs(const std::vector<CodecBinding>& codecs) {
  std::bitset<kMaxPayloadType + 1> used;
  const auto take = [&used](PayloadType type) {
    if (!IsUsablePayloadType(type) || used[type.value]) return false;
    used.set(type.value);
    return true;
  };
  for (const CodecBinding& codec : codecs) {
    if (codec.clock_rate == 0) return "clock_rate must not be 0";
    if (!take(codec.payload_type)) return "payload types must be usable with rtcp-mux and differ";
    for (const auto& further : {codec.rtx_payload_type, codec.red_payload_type}) {
      if (further && !take(*further)) return "payload types must be usable with rtcp-mux and differ";
    }
    if (codec.red_payload_type && IsVideo(codec.codec)) return "red_payload_type is for audio";
  }
  return std::nullopt;
}

std::optional<std::string> CheckTrack(const TrackSettings& settings) {
  if (settings.mid.empty() && settings.ssrcs.empty()) return "a track needs a mid or ssrcs to be found by";
  if (settings.rtx_ssrcs.size() > settings.ssrcs.size()) return "rtx_ssrcs pair up with ssrcs";
  if (settings.payload_types.size() > kMaxPayloadTypesOfTrack) return "payload_types: at most 8";
  return std::nullopt;
}

}  // namespace nexus
