// Test vectors of the RFCs.
#include "vectors/srtp_vectors.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/srtp/hmac_sha1.h"
#include "engine/srtp/srtp_session_keys.h"
#include "engine/srtp/srtp_transform.h"
#include "vectors/hex.h"

namespace nexus {
namespace {

using vectors::FromHex;
using Bytes = std::vector<uint8_t>;

template <class Array>
void Fill(Array& array, const char* hex) {
  const Bytes bytes = FromHex(hex);
  ASSERT_LE(bytes.size(), array.size());
  std::copy(bytes.begin(), bytes.end(), array.begin());
}

template <class Array>
Bytes AsVector(const Array& array) {
  return {array.begin(), array.end()};
}

TEST(SrtpVectors, KeyDerivationOfRfc3711B3) {
  SrtpKeyMaterial material;
  Fill(material.key, vectors::rfc3711::kMasterKey);
  Fill(material.salt, vectors::rfc3711::kMasterSalt);
  const auto keys = DeriveSrtpSessionKeys(SrtpProfile::kAes128CmHmacSha1_80, material, SrtpPacketKind::kRtp);
  ASSERT_TRUE(keys);
  EXPECT_EQ(AsVector(keys->cipher_key), FromHex(vectors::rfc3711::kCipherKey));
  EXPECT_EQ(AsVector(keys->salt), FromHex(vectors::rfc3711::kCipherSalt));
  EXPECT_EQ(AsVector(keys->auth_key), FromHex(vectors::rfc3711::kAuthKey));
}

TEST(SrtpVectors, CounterModeOfRfc3711B2) {
  SrtpSessionKeys keys;
  Fill(keys.cipher_key, vectors::rfc3711::kSessionKey);
  Fill(keys.salt, vectors::rfc3711::kSessionSalt);
  const auto transform = MakeCmTransform(keys, keys);
  ASSERT_TRUE(transform);
  const Bytes stream = FromHex(vectors::rfc3711::kKeyStream);
  const Bytes header(12, 0);  // SSRC 0, sequence number 0
  const Bytes zeros(stream.size(), 0);
  Bytes out(12 + stream.size() + 10);
  ASSERT_EQ(transform->SealRtp(header, {}, zeros, 0, out), out.size());
  EXPECT_EQ(Bytes(out.begin() + 12, out.end() - 10), stream);
}

void OpensAndSealsAsRfc7714(GcmLibrary library) {
  SCOPED_TRACE(GcmLibraryName(library));
  SrtpSessionKeys keys;
  Fill(keys.cipher_key, vectors::rfc7714::kSessionKey);
  Fill(keys.salt, vectors::rfc7714::kSessionSalt);
  const auto seal = MakeGcmTransform(keys, keys, SrtpDirection::kSeal, library);
  const auto open = MakeGcmTransform(keys, keys, SrtpDirection::kOpen, library);
  ASSERT_TRUE(seal && open);

  const Bytes rtp = FromHex(vectors::rfc7714::kRtp);
  Bytes srtp(rtp.size() + 16);
  ASSERT_EQ(seal->SealRtp(ByteView(rtp).first(12), {}, ByteView(rtp).subspan(12), 0xf17b, srtp), srtp.size());
  EXPECT_EQ(srtp, FromHex(vectors::rfc7714::kSrtp));
  ASSERT_TRUE(open->OpenRtp(srtp, 12, 0xf17b));
  EXPECT_EQ(Bytes(srtp.begin(), srtp.end() - 16), rtp);

  const Bytes rtcp = FromHex(vectors::rfc7714::kRtcp);
  Bytes srtcp(rtcp.size() + 20);
  ASSERT_EQ(seal->SealRtcp(rtcp, 0x5d4, srtcp), srtcp.size());
  EXPECT_EQ(srtcp, FromHex(vectors::rfc7714::kSrtcp));
  ASSERT_TRUE(open->OpenRtcp(srtcp, 0x800005d4));
  EXPECT_EQ(Bytes(srtcp.begin(), srtcp.end() - 20), rtcp);
}

TEST(SrtpVectors, GcmOfRfc7714) {
  for (const GcmLibrary library : {GcmLibrary::kOpenSsl, GcmLibrary::kIpsecMb}) {
    if (IsAvailable(library)) OpensAndSealsAsRfc7714(library);
  }
}

ByteView Text(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

TEST(SrtpVectors, HmacOfRfc2202) {
  const HmacSha1 first(FromHex(vectors::rfc2202::kKey1));
  EXPECT_EQ(AsVector(first.Compute(Text("Hi "), Text("There"))), FromHex(vectors::rfc2202::kDigest1));
  EXPECT_EQ(AsVector(first.Compute(Text("Hi There"), {})), FromHex(vectors::rfc2202::kDigest1));
  const HmacSha1 second(Text("Jefe"));
  EXPECT_EQ(AsVector(second.Compute(Text("what do ya want "), Text("for nothing?"))),
            FromHex(vectors::rfc2202::kDigest2));
}

}  // namespace
}  // namespace nexus
