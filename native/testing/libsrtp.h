// The independent oracle for SRTP: sessions of libsrtp2 (RFC 3711, RFC 7714) for one direction of an
// association.
#pragma once

#include <srtp2/srtp.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/srtp/srtp_keys.h"

namespace nexus::testing {

class Libsrtp {
 public:
  enum class Direction : uint8_t { kSeal, kOpen };

  Libsrtp(SrtpProfile profile, const SrtpKeyMaterial& material, Direction direction) {
    static const srtp_err_status_t initialised = srtp_init();
    std::copy(material.key.begin(), material.key.end(), key_.begin());
    std::copy(material.salt.begin(), material.salt.end(), key_.begin() + kSrtpMasterKeySize);
    srtp_policy_t policy{};
    if (profile == SrtpProfile::kAeadAes128Gcm) {
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    } else {
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
    }
    policy.ssrc.type = direction == Direction::kSeal ? ssrc_any_outbound : ssrc_any_inbound;
    policy.key = key_.data();
    policy.window_size = 1024;
    if (initialised != srtp_err_status_ok || srtp_create(&session_, &policy) != srtp_err_status_ok)
      throw std::runtime_error("libsrtp does not start");
  }
  ~Libsrtp() { srtp_dealloc(session_); }
  Libsrtp(const Libsrtp&) = delete;
  Libsrtp& operator=(const Libsrtp&) = delete;

  // The packet sealed or opened; empty when libsrtp refused it.
  std::vector<uint8_t> SealRtp(std::vector<uint8_t> packet) { return Run(&srtp_protect, std::move(packet)); }
  std::vector<uint8_t> SealRtcp(std::vector<uint8_t> packet) {
    return Run(&srtp_protect_rtcp, std::move(packet));
  }
  std::vector<uint8_t> OpenRtp(std::vector<uint8_t> packet) {
    return Run(&srtp_unprotect, std::move(packet));
  }
  std::vector<uint8_t> OpenRtcp(std::vector<uint8_t> packet) {
    return Run(&srtp_unprotect_rtcp, std::move(packet));
  }
  // Whether libsrtp refused the last packet because it had opened it before, or has forgotten whether it had.
  bool refused_as_replay() const {
    return last_ == srtp_err_status_replay_fail || last_ == srtp_err_status_replay_old;
  }

 private:
  using Function = srtp_err_status_t (*)(srtp_t, void*, int*);
  std::vector<uint8_t> Run(Function function, std::vector<uint8_t> packet) {
    int size = static_cast<int>(packet.size());
    packet.resize(packet.size() + SRTP_MAX_TRAILER_LEN + 4);
    last_ = function(session_, packet.data(), &size);
    if (last_ != srtp_err_status_ok) return {};
    packet.resize(static_cast<size_t>(size));
    return packet;
  }

  srtp_t session_ = nullptr;
  srtp_err_status_t last_ = srtp_err_status_ok;
  std::array<unsigned char, SRTP_MAX_KEY_LEN> key_{};
};

}  // namespace nexus::testing
