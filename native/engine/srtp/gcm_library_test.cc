// Both libraries compute the same bytes and reject the same packets.
#include "engine/srtp/gcm_library.h"

#include <gtest/gtest.h>

#include "engine/srtp/srtp_opener.h"
#include "engine/srtp/srtp_packets.h"
#include "engine/srtp/srtp_sealer.h"

namespace nexus {
namespace {

constexpr SrtpProfile kProfile = SrtpProfile::kAeadAes128Gcm;

class GcmLibraries : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsAvailable(GcmLibrary::kIpsecMb)) GTEST_SKIP() << "intel-ipsec-mb is not available";
  }
  SrtpKeyMaterial material_ = TestKeys(5);
  SrtpSealer openssl_{kProfile, material_, GcmLibrary::kOpenSsl};
  SrtpSealer ipsec_{kProfile, material_, GcmLibrary::kIpsecMb};
};

TEST(GcmLibrary, OpenSslIsAlwaysAvailable) {
  EXPECT_TRUE(IsAvailable(GcmLibrary::kOpenSsl));
  EXPECT_TRUE(IsAvailable(FastestGcmLibrary()));
}

TEST(GcmLibrary, IsFoundByItsName) {
  for (const GcmLibrary library : {GcmLibrary::kOpenSsl, GcmLibrary::kIpsecMb}) {
    EXPECT_EQ(GcmLibraryFromName(GcmLibraryName(library)), library);
  }
  for (const std::string_view name : {"", "auto", "OpenSSL", "openssl ", "ipsec"}) {
    EXPECT_FALSE(GcmLibraryFromName(name)) << name;
  }
}

TEST(GcmLibrary, TheLibraryInUseIsAvailable) {
  EXPECT_EQ(GcmLibraryInUse(GcmLibrary::kOpenSsl), GcmLibrary::kOpenSsl);
  EXPECT_EQ(GcmLibraryInUse(GcmLibrary::kIpsecMb), FastestGcmLibrary());
}

TEST_F(GcmLibraries, SealTheSameBytesAtEverySizeAndSplit) {
  for (size_t size = 0; size <= 1'300; size += size < 300 ? 1 : 37) {
    const auto index = uint64_t{3} << 16 | size;
    const Bytes plain = RtpPacket(99, static_cast<uint16_t>(size), size);
    const ByteView body = ByteView(plain).subspan(12);
    for (const size_t cut : {size_t{0}, size_t{1}, size_t{6}, size_t{16}}) {
      if (cut > size) continue;
      Bytes one(plain.size() + kSrtpMaxRtpOverhead);
      Bytes other = one;
      const ByteView header = ByteView(plain).first(12);
      ASSERT_EQ(openssl_.SealRtp(header, body.first(cut), body.subspan(cut), index, one), one.size());
      ASSERT_EQ(ipsec_.SealRtp(header, body.first(cut), body.subspan(cut), index, other), other.size());
      ASSERT_EQ(one, other) << size << " cut at " << cut;
    }
  }
}

TEST_F(GcmLibraries, SealTheSameRtcp) {
  for (uint16_t words = 0; words < 300; words += 7) {
    const Bytes plain = RtcpPacket(42, words);
    ASSERT_EQ(SealedRtcp(openssl_, plain), SealedRtcp(ipsec_, plain)) << words;
  }
}

TEST_F(GcmLibraries, OpenEachOthersPackets) {
  for (const auto& [sealing, opening] :
       {std::pair(&openssl_, GcmLibrary::kIpsecMb), std::pair(&ipsec_, GcmLibrary::kOpenSsl)}) {
    SrtpOpener opener(kProfile, material_, {.library = opening});
    for (uint16_t size = 0; size < 1'200; size = static_cast<uint16_t>(size + 13)) {
      const Bytes plain = RtpPacket(7, size, size);
      Bytes sealed = SealedRtp(*sealing, plain, size);
      const auto length = opener.OpenRtp(sealed, 12);
      ASSERT_TRUE(length) << size;
      sealed.resize(*length);
      ASSERT_EQ(sealed, plain);
    }
  }
}

TEST_F(GcmLibraries, RejectEveryFlippedBit) {
  const Bytes sealed = SealedRtp(ipsec_, RtpPacket(7, 1, 40), 1);
  for (const GcmLibrary library : {GcmLibrary::kOpenSsl, GcmLibrary::kIpsecMb}) {
    SrtpOpener opener(kProfile, material_, {.library = library});
    for (size_t bit = 8; bit < sealed.size() * 8; ++bit) {
      Bytes flipped = sealed;
      flipped[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
      ASSERT_FALSE(opener.OpenRtp(flipped, 12)) << GcmLibraryName(library) << ", bit " << bit;
    }
    Bytes whole = sealed;
    EXPECT_TRUE(opener.OpenRtp(whole, 12));
  }
}

}  // namespace
}  // namespace nexus
