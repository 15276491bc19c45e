// STUN messages: the vectors of RFC 5769, messages of the writer read back, and malformed ones.
#include "engine/stun/stun_message.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/stun/stun_writer.h"
#include "vectors/hex.h"
#include "vectors/rfc5769.h"

namespace nexus {
namespace {

using vectors::FromHex;
namespace rfc5769 = vectors::rfc5769;
using Bytes = std::vector<uint8_t>;

constexpr StunTransactionId kId = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

TEST(StunVectors, Request) {
  const Bytes bytes = FromHex(rfc5769::kRequest);
  const auto message = ParseStun(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->message_class, StunClass::kRequest);
  EXPECT_EQ(message->method, kStunBinding);
  EXPECT_EQ(message->username, "evtj:h6vY");
  EXPECT_EQ(message->priority, 0x6e0001ffu);
  EXPECT_EQ(message->ice_controlled, 0x932ff9b151263b36u);
  EXPECT_EQ(message->software, "STUN test client");
  EXPECT_FALSE(message->use_candidate);
  EXPECT_EQ(message->unknown_count, 0u);
  EXPECT_TRUE(VerifyStunIntegrity(*message, rfc5769::kPassword));
  EXPECT_FALSE(VerifyStunIntegrity(*message, "VOkJxbRl1RmTxUk/WvJxBu"));
  EXPECT_TRUE(VerifyStunFingerprint(*message));
  EXPECT_EQ(PeekLocalUfrag(bytes), "evtj");
}

TEST(StunVectors, Responses) {
  const struct {
    const char* hex;
    const char* address;
  } cases[] = {{rfc5769::kIpv4Response, "192.0.2.1:32853"},
               {rfc5769::kIpv6Response, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"}};
  for (const auto& item : cases) {
    const Bytes bytes = FromHex(item.hex);
    const auto message = ParseStun(bytes);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->message_class, StunClass::kSuccess);
    ASSERT_TRUE(message->xor_mapped_address);
    EXPECT_EQ(message->xor_mapped_address->ToString(), item.address);
    EXPECT_TRUE(VerifyStunIntegrity(*message, rfc5769::kPassword));
    EXPECT_TRUE(VerifyStunFingerprint(*message));
    EXPECT_FALSE(PeekLocalUfrag(bytes));
  }
}

TEST(StunVectors, TheWriterProducesTheSameRequest) {
  const Bytes expected = FromHex(rfc5769::kRequest);
  const auto parsed = ParseStun(expected);
  ASSERT_TRUE(parsed);
  StunWriter writer(StunClass::kRequest, kStunBinding, parsed->transaction_id);
  writer.Software("STUN test client");
  writer.Priority(0x6e0001ff);
  writer.IceControlled(0x932ff9b151263b36);
  const std::string_view username = "evtj:h6vY";
  writer.Attribute(StunAttribute::kUsername,
                   {reinterpret_cast<const uint8_t*>(username.data()), username.size()}, 0x20);
  writer.MessageIntegrity(rfc5769::kPassword);
  writer.Fingerprint();
  EXPECT_EQ(writer.ToVector(), expected);
}

TEST(StunWriter, ReadsBackWhatIsWritten) {
  const auto v6 = SocketAddress::Parse("2001:db8::7", 5000);
  StunWriter writer(StunClass::kError, kStunBinding, kId);
  writer.XorMappedAddress(*v6);
  writer.ErrorCode(487, "Role Conflict");
  writer.IceControlling(99);
  writer.UseCandidate();
  writer.Username("ab:cd");
  writer.MessageIntegrity("secret");
  writer.Fingerprint();
  const Bytes bytes = writer.ToVector();
  const auto message = ParseStun(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->message_class, StunClass::kError);
  EXPECT_EQ(message->transaction_id, kId);
  EXPECT_EQ(message->xor_mapped_address, *v6);
  EXPECT_EQ(message->error_code, 487);
  EXPECT_EQ(message->error_reason, "Role Conflict");
  EXPECT_EQ(message->ice_controlling, 99u);
  EXPECT_TRUE(message->use_candidate);
  EXPECT_TRUE(VerifyStunIntegrity(*message, "secret"));
  EXPECT_TRUE(VerifyStunFingerprint(*message));
}

TEST(StunWriter, AMessageThatDoesNotFitIsEmpty) {
  StunWriter writer(StunClass::kRequest, kStunBinding, kId);
  writer.Software(std::string(2000, 'x'));
  EXPECT_TRUE(writer.message().empty());
  writer.MessageIntegrity("secret");
  writer.Fingerprint();
  EXPECT_TRUE(writer.ToVector().empty());
}

TEST(StunMessage, ParsesEveryClassAndMethod) {
  for (unsigned message_class = 0; message_class < 4; ++message_class) {
    for (uint16_t method = 0; method < 0x1000; ++method) {
      const StunWriter writer(static_cast<StunClass>(message_class), method, kId);
      const auto message = ParseStun(writer.message());
      ASSERT_TRUE(message);
      ASSERT_EQ(message->message_class, static_cast<StunClass>(message_class));
      ASSERT_EQ(message->method, method);
    }
  }
}

TEST(StunMessage, CollectsUnknownComprehensionRequiredAttributes) {
  StunWriter writer(StunClass::kRequest, kStunBinding, kId);
  for (uint16_t type = 0x7000; type < 0x7000 + 12; ++type)
    writer.Attribute(static_cast<StunAttribute>(type), {});
  writer.Attribute(static_cast<StunAttribute>(0xC057), {});  // optional: libwebrtc's network information
  const auto message = ParseStun(writer.message());
  ASSERT_TRUE(message);
  EXPECT_EQ(message->unknown_count, 12u);
  EXPECT_EQ(message->unknown_attributes.front(), 0x7000);
  EXPECT_EQ(message->unknown_attributes.back(), 0x7007);
}

TEST(StunMessage, IgnoresAttributesAfterTheIntegrity) {
  StunWriter writer(StunClass::kRequest, kStunBinding, kId);
  writer.Username("ab:cd");
  writer.MessageIntegrity("secret");
  writer.UseCandidate();
  writer.Priority(1);
  writer.Fingerprint();
  const auto message = ParseStun(writer.message());
  ASSERT_TRUE(message);
  EXPECT_FALSE(message->use_candidate);
  EXPECT_FALSE(message->priority);
  EXPECT_TRUE(VerifyStunIntegrity(*message, "secret"));
  EXPECT_TRUE(VerifyStunFingerprint(*message));
}

TEST(StunMessage, RejectsAttributesAfterTheFingerprint) {
  StunWriter writer(StunClass::kRequest, kStunBinding, kId);
  writer.Fingerprint();
  writer.Priority(1);
  EXPECT_FALSE(ParseStun(writer.message()));
}

TEST(StunMessage, DetectsEveryFlippedBit) {
  const Bytes original = FromHex(rfc5769::kRequest);
  for (size_t bit = 0; bit < original.size() * 8; ++bit) {
    Bytes bytes = original;
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const auto message = ParseStun(bytes);
    if (!message) continue;
    EXPECT_FALSE(VerifyStunFingerprint(*message)) << "bit " << bit;
    const bool covered = bit / 8 < message->bytes.size() - 8;  // the integrity does not cover FINGERPRINT
    EXPECT_TRUE(!covered || !VerifyStunIntegrity(*message, rfc5769::kPassword)) << "bit " << bit;
  }
}

TEST(StunMessage, RejectsTruncationAtEveryByte) {
  const Bytes original = FromHex(rfc5769::kRequest);
  for (size_t size = 0; size < original.size(); ++size) {
    const Bytes cut(original.begin(), original.begin() + static_cast<long>(size));
    EXPECT_FALSE(ParseStun(cut)) << size;
    EXPECT_FALSE(PeekLocalUfrag(cut)) << size;
  }
}

TEST(StunMessage, ATruncatedMessageWithAValidLengthNeverVerifies) {
  const Bytes original = FromHex(rfc5769::kRequest);
  for (size_t size = 20; size < original.size(); size += 4) {
    Bytes cut(original.begin(), original.begin() + static_cast<long>(size));
    cut[2] = 0;
    cut[3] = static_cast<uint8_t>(size - 20);
    const auto message = ParseStun(cut);
    if (!message) continue;
    EXPECT_FALSE(VerifyStunFingerprint(*message)) << size;
  }
}

TEST(StunMessage, RejectsWrongSizesOfKnownAttributes) {
  const struct {
    StunAttribute type;
    size_t size;
  } cases[] = {{StunAttribute::kPriority, 3},         {StunAttribute::kPriority, 8},
               {StunAttribute::kUseCandidate, 1},     {StunAttribute::kIceControlled, 4},
               {StunAttribute::kIceControlling, 9},   {StunAttribute::kMessageIntegrity, 19},
               {StunAttribute::kMessageIntegrity, 0}, {StunAttribute::kFingerprint, 5},
               {StunAttribute::kXorMappedAddress, 7}, {StunAttribute::kXorMappedAddress, 0},
               {StunAttribute::kErrorCode, 3},        {StunAttribute::kUsername, 514}};
  for (const auto& item : cases) {
    StunWriter writer(StunClass::kRequest, kStunBinding, kId);
    writer.Attribute(item.type, Bytes(item.size, 1));
    EXPECT_FALSE(ParseStun(writer.message())) << static_cast<int>(item.type) << " of " << item.size;
  }
}

TEST(StunMessage, PeekFindsOnlyAUfragBeforeAColon) {
  for (const auto& [username, ufrag] : {std::pair<std::string_view, std::string_view>{"abcd:efgh", "abcd"},
                                        {":efgh", ""},
                                        {"abcd", ""},
                                        {"a:b:c", "a"}}) {
    StunWriter writer(StunClass::kRequest, kStunBinding, kId);
    writer.Priority(5);
    writer.Username(username);
    EXPECT_EQ(PeekLocalUfrag(writer.message()).value_or(""), ufrag) << username;
  }
}

TEST(StunMessage, RandomAttributesNeverReadOutside) {
  std::mt19937 random(5);
  int parsed = 0;
  for (int i = 0; i < 50'000; ++i) {
    Bytes bytes(20 + 4 * (random() % 12));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() % 4 == 0 ? random() : random() % 48);
    ByteWriter header(bytes);
    header.U16(1);
    header.U16(static_cast<uint16_t>(bytes.size() - 20));
    header.U32(kStunMagicCookie);
    parsed += ParseStun(bytes) ? 1 : 0;
    (void)PeekLocalUfrag(bytes);
  }
  EXPECT_GT(parsed, 1'000);
}

}  // namespace
}  // namespace nexus
