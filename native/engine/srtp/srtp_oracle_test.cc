// Compares with libsrtp2, in both directions and with both profiles: each opens what the other seals, over a
// roll-over with loss and reordering (hard problem 8).
#include <gtest/gtest.h>
#include <srtp2/srtp.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "engine/srtp/srtp_opener.h"
#include "engine/srtp/srtp_packets.h"
#include "engine/srtp/srtp_sealer.h"

namespace nexus {
namespace {

class Libsrtp {
 public:
  Libsrtp(SrtpProfile profile, const SrtpKeyMaterial& material, bool outbound) {
    static const srtp_err_status_t initialised = srtp_init();
    EXPECT_EQ(initialised, srtp_err_status_ok);
    std::copy(material.key.begin(), material.key.end(), key_.begin());
    std::copy(material.salt.begin(), material.salt.end(), key_.begin() + 16);
    srtp_policy_t policy{};
    if (profile == SrtpProfile::kAeadAes128Gcm) {
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    } else {
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
    }
    policy.ssrc.type = outbound ? ssrc_any_outbound : ssrc_any_inbound;
    policy.key = key_.data();
    policy.window_size = 1024;
    EXPECT_EQ(srtp_create(&session_, &policy), srtp_err_status_ok);
  }
  ~Libsrtp() { srtp_dealloc(session_); }
  Libsrtp(const Libsrtp&) = delete;
  Libsrtp& operator=(const Libsrtp&) = delete;

  Bytes SealRtp(Bytes packet) { return Run(&srtp_protect, std::move(packet)); }
  Bytes SealRtcp(Bytes packet) { return Run(&srtp_protect_rtcp, std::move(packet)); }
  Bytes OpenRtp(Bytes packet) { return Run(&srtp_unprotect, std::move(packet)); }
  Bytes OpenRtcp(Bytes packet) { return Run(&srtp_unprotect_rtcp, std::move(packet)); }

 private:
  using Function = srtp_err_status_t (*)(srtp_t, void*, int*);
  // Empty if libsrtp refused the packet.
  Bytes Run(Function function, Bytes packet) {
    int size = static_cast<int>(packet.size());
    packet.resize(packet.size() + SRTP_MAX_TRAILER_LEN + 4);
    if (function(session_, packet.data(), &size) != srtp_err_status_ok) return {};
    packet.resize(static_cast<size_t>(size));
    return packet;
  }
  srtp_t session_ = nullptr;
  std::array<unsigned char, SRTP_MAX_KEY_LEN> key_{};
};

class SrtpOracle : public testing::TestWithParam<SrtpProfile> {
 protected:
  SrtpKeyMaterial material_ = TestKeys(11);
};

INSTANTIATE_TEST_SUITE_P(Profiles, SrtpOracle,
                         testing::Values(SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80));

struct Sent {
  uint64_t index;
  Bytes plain;
  Bytes sealed;
};

// Loses a tenth of the packets, duplicates a tenth, and reorders within sixteen.
std::vector<Sent> Disturb(const std::vector<Sent>& packets, std::mt19937& random) {
  std::vector<Sent> arriving;
  for (const Sent& packet : packets) {
    const unsigned fate = random() % 10;
    if (fate != 0) arriving.push_back(packet);
    if (fate == 1) arriving.push_back(packet);
  }
  for (size_t at = 0; at + 16 <= arriving.size(); at += 8) {
    std::shuffle(arriving.begin() + static_cast<long>(at), arriving.begin() + static_cast<long>(at + 16),
                 random);
  }
  return arriving;
}

constexpr uint64_t kFirst = 60'000;
constexpr uint64_t kLast = 2 * 65'536 + 2'000;

TEST_P(SrtpOracle, SealsTheSameBytesAcrossTheRollOver) {
  SrtpSealer ours(GetParam(), material_);
  Libsrtp theirs(GetParam(), material_, true);
  for (uint64_t index = kFirst; index < kLast; ++index) {
    const Bytes plain = RtpPacket(0xCAFE, static_cast<uint16_t>(index), index % 97);
    ASSERT_EQ(SealedRtp(ours, plain, index), theirs.SealRtp(plain)) << "index " << index;
  }
}

TEST_P(SrtpOracle, LibsrtpOpensOurPackets) {
  SrtpSealer ours(GetParam(), material_);
  Libsrtp theirs(GetParam(), material_, false);
  std::mt19937 random(1);
  std::vector<Sent> packets;
  for (uint64_t index = kFirst; index < kLast; ++index) {
    Bytes plain = RtpPacket(0xBEEF, static_cast<uint16_t>(index), random() % 60);
    Bytes sealed = SealedRtp(ours, plain, index);
    packets.push_back({index, std::move(plain), std::move(sealed)});
  }
  std::set<uint64_t> seen;
  for (const Sent& packet : Disturb(packets, random)) {
    const Bytes opened = theirs.OpenRtp(packet.sealed);
    ASSERT_EQ(opened, seen.insert(packet.index).second ? packet.plain : Bytes()) << "index " << packet.index;
  }
}

TEST_P(SrtpOracle, OpensLibsrtpsPacketsAndRejectsTheSameOnes) {
  Libsrtp sealer(GetParam(), material_, true);
  Libsrtp theirs(GetParam(), material_, false);
  SrtpOpener ours(GetParam(), material_);
  std::mt19937 random(2);
  std::vector<Sent> packets;
  for (uint64_t index = kFirst; index < kLast; ++index) {
    Bytes plain = RtpPacket(0xBEEF, static_cast<uint16_t>(index), random() % 60);
    Bytes sealed = sealer.SealRtp(plain);
    packets.push_back({index, std::move(plain), std::move(sealed)});
  }
  int refused = 0;
  for (Sent& packet : Disturb(packets, random)) {
    if (random() % 50 == 0) packet.sealed[random() % packet.sealed.size()] ^= 0x10;
    const Bytes expected = theirs.OpenRtp(packet.sealed);
    Bytes opened = packet.sealed;
    const auto size = ours.OpenRtp(opened, 12);
    opened.resize(size.value_or(0));
    ASSERT_EQ(opened, expected) << "index " << packet.index;
    refused += expected.empty() ? 1 : 0;
  }
  EXPECT_GT(refused, 1'000);
}

TEST_P(SrtpOracle, RtcpWorksBothWays) {
  SrtpSealer our_sealer(GetParam(), material_);
  SrtpOpener our_opener(GetParam(), material_);
  Libsrtp their_sealer(GetParam(), material_, true);
  Libsrtp their_opener(GetParam(), material_, false);
  for (uint16_t words = 0; words < 300; ++words) {
    const Bytes plain = RtcpPacket(0xF00D + words % 3u, words);
    EXPECT_EQ(their_opener.OpenRtcp(SealedRtcp(our_sealer, plain)), plain) << words;
    Bytes sealed = their_sealer.SealRtcp(plain);
    const auto size = our_opener.OpenRtcp(sealed);
    ASSERT_TRUE(size) << words;
    sealed.resize(*size);
    EXPECT_EQ(sealed, plain);
  }
}

}  // namespace
}  // namespace nexus
