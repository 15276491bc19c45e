// Sealer and opener together: roll-over, replay, bounds, and rejected packets.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "engine/srtp/srtp_opener.h"
#include "engine/srtp/srtp_packets.h"
#include "engine/srtp/srtp_sealer.h"

namespace nexus {
namespace {

class Srtp : public testing::TestWithParam<SrtpProfile> {
 protected:
  Bytes Seal(uint32_t ssrc, uint64_t index, size_t payload_size = 50) {
    return SealedRtp(sealer_, RtpPacket(ssrc, static_cast<uint16_t>(index), payload_size), index);
  }
  bool Open(Bytes packet) { return opener_.OpenRtp(packet, 12).has_value(); }

  SrtpKeyMaterial material_ = TestKeys(1);
  SrtpSealer sealer_{GetParam(), material_};
  SrtpOpener opener_{GetParam(), material_};
};

INSTANTIATE_TEST_SUITE_P(Profiles, Srtp,
                         testing::Values(SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80));

TEST_P(Srtp, OpensSealedPackets) {
  for (const size_t size : {0u, 1u, 15u, 16u, 17u, 1200u}) {
    const Bytes plain = RtpPacket(7, static_cast<uint16_t>(size), size);
    Bytes sealed = SealedRtp(sealer_, plain, size);
    ASSERT_EQ(sealed.size(), plain.size() + SrtpTagSize(GetParam()));
    EXPECT_TRUE(size < 8 || !std::equal(plain.begin() + 12, plain.end(), sealed.begin() + 12)) << "in clear";
    const auto length = opener_.OpenRtp(sealed, 12);
    ASSERT_TRUE(length);
    sealed.resize(*length);
    EXPECT_EQ(sealed, plain);
  }
  EXPECT_EQ(opener_.counters().rtp_opened, 6u);
}

TEST_P(Srtp, PrefixAndPayloadAreOneMessageWhereverTheyAreSplit) {
  const Bytes plain = RtpPacket(7, 300, 100);
  const Bytes whole = SealedRtp(sealer_, plain, 300);
  const ByteView body = ByteView(plain).subspan(12);
  for (size_t cut = 0; cut <= body.size(); ++cut) {
    Bytes out(plain.size() + kSrtpMaxRtpOverhead);
    out.resize(sealer_.SealRtp(ByteView(plain).first(12), body.first(cut), body.subspan(cut), 300, out));
    ASSERT_EQ(out, whole) << "cut at " << cut;
  }
}

TEST_P(Srtp, HeaderWithExtensionIsAuthenticatedAndStaysInClear) {
  const Bytes plain = RtpPacket(7, 9, 60);
  const ByteView view(plain);
  Bytes out(plain.size() + kSrtpMaxRtpOverhead);
  out.resize(sealer_.SealRtp(view.first(28), view.subspan(28), 9, out));  // 16 bytes of CSRCs and extension
  EXPECT_TRUE(std::equal(plain.begin(), plain.begin() + 28, out.begin()));
  Bytes forged = out;
  forged[20] ^= 1;
  EXPECT_FALSE(opener_.OpenRtp(forged, 28));
  EXPECT_EQ(opener_.counters().unauthenticated, 1u);
  EXPECT_TRUE(opener_.OpenRtp(out, 28));
}

TEST_P(Srtp, RejectsEveryFlippedBit) {
  const Bytes sealed = Seal(7, 5, 20);
  for (size_t bit = 8; bit < sealed.size() * 8;
       ++bit) {  // the first byte is version and counts, checked before
    Bytes forged = sealed;
    forged[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    ASSERT_FALSE(Open(forged)) << "bit " << bit;
  }
  EXPECT_EQ(opener_.ssrc_count(), 0u) << "state only after authentication";
  EXPECT_TRUE(Open(sealed));
}

TEST_P(Srtp, RejectsReplayedAndTooOldPackets) {
  const Bytes first = Seal(7, 100);
  EXPECT_TRUE(Open(first));
  EXPECT_FALSE(Open(first));
  EXPECT_EQ(opener_.counters().replayed, 1u);
  EXPECT_TRUE(Open(Seal(7, 100 + 1024)));
  EXPECT_FALSE(Open(first));
  EXPECT_EQ(opener_.counters().too_old, 1u);
  EXPECT_TRUE(Open(Seal(7, 101)));
}

TEST_P(Srtp, AForgedPacketDoesNotMoveTheRollOverCounter) {
  ASSERT_TRUE(Open(Seal(7, 40'000)));
  Bytes forged = Seal(7, 65'536 + 3);
  forged.back() ^= 1;
  EXPECT_FALSE(Open(forged));
  EXPECT_TRUE(Open(Seal(7, 40'001)));
  EXPECT_TRUE(Open(Seal(7, 65'535)));
  EXPECT_TRUE(Open(Seal(7, 65'536 + 3)));
}

TEST_P(Srtp, RollsOverManyTimesUnderLossAndReordering) {
  std::mt19937 random(3);
  uint64_t delivered = 0;
  uint64_t sent = 0;
  for (uint64_t base = 65'000; base < 65'536 * 6; base += 16) {
    std::vector<Bytes> batch;
    for (uint64_t index = base; index < base + 16; ++index) {
      if (random() % 5 != 0) batch.push_back(Seal(7, index, 4));
    }
    std::shuffle(batch.begin(), batch.end(), random);
    for (const Bytes& packet : batch) delivered += Open(packet) ? 1 : 0;
    sent += batch.size();
  }
  EXPECT_EQ(delivered, sent);
}

TEST_P(Srtp, RejectsIndicesBeforeTheFirstRollOver) {
  ASSERT_TRUE(Open(Seal(7, 3)));
  EXPECT_FALSE(Open(Seal(7, 65'530))) << "would belong to roll-over counter -1";
  EXPECT_EQ(opener_.counters().too_old, 1u);
}

TEST_P(Srtp, BoundsAHundredThousandInventedSsrcs) {
  SrtpOpener opener(GetParam(), material_, {.max_ssrcs = 64});
  for (uint32_t ssrc = 0; ssrc < 100'000; ++ssrc) {
    Bytes packet = Seal(ssrc, 1, 10);
    ASSERT_TRUE(opener.OpenRtp(packet, 12));
    if (ssrc % 50 == 0) {  // the stream in use is never evicted
      Bytes real = Seal(0xFFFFFFFF, ssrc / 50, 10);
      ASSERT_TRUE(opener.OpenRtp(real, 12));
    }
  }
  EXPECT_EQ(opener.ssrc_count(), 64u);
  EXPECT_EQ(opener.counters().ssrcs_evicted, 100'000u + 1 - 64);
}

TEST_P(Srtp, OpensUnmodifiedRtcpOnce) {
  const Bytes plain = RtcpPacket(7, 10);
  for (int i = 0; i < 3; ++i) {
    const Bytes sealed = SealedRtcp(sealer_, plain);
    ASSERT_EQ(sealed.size(), plain.size() + SrtpTagSize(GetParam()) + 4);
    for (size_t at = 4; at < sealed.size(); ++at) {
      Bytes forged = sealed;
      forged[at] ^= 0x40;
      ASSERT_FALSE(opener_.OpenRtcp(forged)) << "byte " << at;
    }
    Bytes copy = sealed;
    const auto length = opener_.OpenRtcp(copy);
    ASSERT_TRUE(length);
    copy.resize(*length);
    EXPECT_EQ(copy, plain);
    copy = sealed;
    EXPECT_FALSE(opener_.OpenRtcp(copy));
  }
  EXPECT_EQ(opener_.counters().rtcp_opened, 3u);
  EXPECT_EQ(opener_.counters().replayed, 3u);
}

TEST_P(Srtp, RejectsRtcpWithoutTheEncryptedBit) {
  Bytes sealed = SealedRtcp(sealer_, RtcpPacket(7, 10));
  const size_t at = GetParam() == SrtpProfile::kAeadAes128Gcm ? sealed.size() - 4 : sealed.size() - 14;
  sealed[at] &= 0x7F;
  EXPECT_FALSE(opener_.OpenRtcp(sealed));
  EXPECT_EQ(opener_.counters().unencrypted, 1u);
}

TEST_P(Srtp, RejectsEveryWrongLength) {
  const Bytes rtp = Seal(7, 5, 4);
  const Bytes rtcp = SealedRtcp(sealer_, RtcpPacket(7, 2));
  for (size_t size = 0; size < rtp.size(); ++size)
    EXPECT_FALSE(Open(Bytes(rtp.begin(), rtp.begin() + static_cast<long>(size))));
  for (size_t size = 0; size < rtcp.size(); ++size) {
    Bytes cut(rtcp.begin(), rtcp.begin() + static_cast<long>(size));
    EXPECT_FALSE(opener_.OpenRtcp(cut));
  }
  Bytes whole = rtp;
  EXPECT_FALSE(opener_.OpenRtp(whole, 11));
  EXPECT_FALSE(opener_.OpenRtp(whole, whole.size()));
  EXPECT_FALSE(opener_.OpenRtp(whole, 17)) << "the header extends into the tag";
  EXPECT_EQ(opener_.ssrc_count(), 0u);
  EXPECT_GT(opener_.counters().malformed, 30u);
}

TEST_P(Srtp, TheSealerRejectsInvalidInput) {
  const Bytes plain = RtpPacket(7, 5, 20);
  const ByteView header = ByteView(plain).first(12);
  const ByteView payload = ByteView(plain).subspan(12);
  Bytes out(200);
  EXPECT_EQ(sealer_.SealRtp(header, payload, 6, out), 0u) << "index and header disagree";
  EXPECT_EQ(sealer_.SealRtp(header, payload, uint64_t{1} << 48 | 5, out), 0u) << "the key is exhausted";
  EXPECT_EQ(sealer_.SealRtp(header.first(11), payload, 5, out), 0u);
  const size_t exact = plain.size() + SrtpTagSize(GetParam());
  EXPECT_EQ(sealer_.SealRtp(header, payload, 5, MutableByteView(out).first(exact - 1)), 0u);
  EXPECT_EQ(sealer_.SealRtp(header, payload, 5, MutableByteView(out).first(exact)), exact);
  EXPECT_EQ(sealer_.SealRtcp(ByteView(plain).first(7), out), 0u);
}

TEST_P(Srtp, OtherKeysOpenNothing) {
  SrtpOpener other(GetParam(), TestKeys(2));
  Bytes rtp = Seal(7, 5);
  Bytes rtcp = SealedRtcp(sealer_, RtcpPacket(7, 2));
  EXPECT_FALSE(other.OpenRtp(rtp, 12));
  EXPECT_FALSE(other.OpenRtcp(rtcp));
  EXPECT_EQ(other.counters().unauthenticated, 2u);
}

}  // namespace
}  // namespace nexus
