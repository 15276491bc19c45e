// Compares with libsrtp2, in both directions and with both profiles: each opens what the other seals, over a
// roll-over with loss and reordering (hard problem 8).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "engine/srtp/srtp_opener.h"
#include "engine/srtp/srtp_packets.h"
#include "engine/srtp/srtp_sealer.h"
#include "testing/libsrtp.h"

namespace nexus {
namespace {

using testing::Libsrtp;

class SrtpOracle : public ::testing::TestWithParam<SrtpProfile> {
 protected:
  SrtpKeyMaterial material_ = TestKeys(11);
};

INSTANTIATE_TEST_SUITE_P(Profiles, SrtpOracle,
                         ::testing::Values(SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80));

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
  Libsrtp theirs(GetParam(), material_, Libsrtp::Direction::kSeal);
  for (uint64_t index = kFirst; index < kLast; ++index) {
    const Bytes plain = RtpPacket(0xCAFE, static_cast<uint16_t>(index), index % 97);
    ASSERT_EQ(SealedRtp(ours, plain, index), theirs.SealRtp(plain)) << "index " << index;
  }
}

TEST_P(SrtpOracle, LibsrtpOpensOurPackets) {
  SrtpSealer ours(GetParam(), material_);
  Libsrtp theirs(GetParam(), material_, Libsrtp::Direction::kOpen);
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
  Libsrtp sealer(GetParam(), material_, Libsrtp::Direction::kSeal);
  Libsrtp theirs(GetParam(), material_, Libsrtp::Direction::kOpen);
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
  Libsrtp their_sealer(GetParam(), material_, Libsrtp::Direction::kSeal);
  Libsrtp their_opener(GetParam(), material_, Libsrtp::Direction::kOpen);
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
