// The envelope, compared with bytes that the SDKs' tests share; its bounds, and messages in two parts.
#include "engine/sctp/data_envelope.h"

#include <gtest/gtest.h>

#include <string>

namespace nexus {
namespace {

std::vector<uint8_t> Bytes(std::string_view text) { return {text.begin(), text.end()}; }

// The SDKs' tests contain the same bytes.
TEST(DataEnvelope, FromAClientToTwoDestinations) {
  const std::vector<uint8_t> payload = Bytes("hi");
  DataEnvelope envelope;
  envelope.text = true;
  envelope.topic = "chat";
  envelope.destinations = {"PA_a", "PA_b"};
  envelope.payload = payload;
  const std::vector<uint8_t> wire = WriteDataEnvelope(envelope);
  EXPECT_EQ(wire, Bytes(std::string("\x01\x01\x00\x04"
                                    "chat\x02\x04PA_a\x04PA_bhi",
                                    21)));
  const auto read = ParseDataEnvelope(wire);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->text);
  EXPECT_FALSE(read->directed);
  EXPECT_EQ(read->sender, "");
  EXPECT_EQ(read->topic, "chat");
  EXPECT_EQ(read->destinations, (std::vector<std::string_view>{"PA_a", "PA_b"}));
  EXPECT_EQ(Bytes("hi"), std::vector<uint8_t>(read->payload.begin(), read->payload.end()));
}

TEST(DataEnvelope, FromTheServer) {
  DataEnvelope envelope;
  envelope.from_server = true;
  envelope.directed = true;
  envelope.sender = "PA_me";
  const std::vector<uint8_t> wire = WriteDataEnvelope(envelope);
  EXPECT_EQ(wire, (std::vector<uint8_t>{1, 6, 5, 'P', 'A', '_', 'm', 'e', 0, 0}));
  const auto read = ParseDataEnvelope(wire);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->from_server && read->directed && read->payload.empty());
  EXPECT_EQ(read->sender, "PA_me");
}

TEST(DataEnvelope, RejectsTruncatedHeaders) {
  DataEnvelope envelope;
  envelope.sender = "PA_1";
  envelope.topic = "t";
  envelope.destinations = {"PA_2"};
  const std::vector<uint8_t> wire = WriteDataEnvelope(envelope);
  for (size_t size = 0; size < wire.size(); ++size) {
    EXPECT_FALSE(ParseDataEnvelope(ByteView(wire).first(size))) << size;
  }
}

TEST(DataEnvelope, RejectsUnknownVersionsAndFlags) {
  std::vector<uint8_t> wire = WriteDataEnvelope({});
  ASSERT_TRUE(ParseDataEnvelope(wire));
  wire[1] = 0x20;
  EXPECT_FALSE(ParseDataEnvelope(wire));
  wire[1] = 0;
  wire[0] = 2;
  EXPECT_FALSE(ParseDataEnvelope(wire));
}

TEST(DataEnvelope, BoundsApplyToParserAndWriter) {
  const std::string long_topic(kMaxDataTopic + 1, 't');
  const std::string long_id(kMaxDataIdentifier, 'i');
  DataEnvelope envelope;
  envelope.topic = long_topic;
  EXPECT_TRUE(WriteDataEnvelope(envelope).empty());
  envelope.topic = {};
  envelope.destinations.assign(kMaxDataDestinations, long_id);  // each is valid, but the header is too long
  EXPECT_TRUE(WriteDataEnvelope(envelope).empty());
  envelope.destinations.assign(kMaxDataDestinations + 1, "i");
  EXPECT_TRUE(WriteDataEnvelope(envelope).empty());
  envelope.destinations.assign(1, "");
  EXPECT_TRUE(WriteDataEnvelope(envelope).empty());
  EXPECT_FALSE(ParseDataEnvelope(std::vector<uint8_t>{1, 0, 0, 0, 1, 0}));  // an empty destination
}

std::vector<uint8_t> Counted(size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7);
  return bytes;
}

TEST(DataEnvelope, TheLargestPayloadIsSentInTwoPartsThatFit) {
  const std::vector<uint8_t> payload = Counted(kMaxDataPayload);
  const std::string topic(kMaxDataTopic, 't');
  const std::string id(kMaxDataIdentifier, 'i');
  DataEnvelope envelope;
  envelope.number = 0x01020304;
  envelope.topic = topic;
  envelope.destinations.assign(12, id);
  envelope.payload = payload;
  const auto messages = WriteDataMessages(envelope);
  ASSERT_EQ(messages.size(), 2u);
  std::vector<uint8_t> joined;
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_LE(messages[i].size(), 262'144u);
    const auto part = ParseDataEnvelope(messages[i]);
    ASSERT_TRUE(part);
    EXPECT_EQ(part->part, i == 0 ? DataPart::kFirst : DataPart::kLast);
    EXPECT_EQ(part->number, 0x01020304u);
    EXPECT_EQ(part->destinations.size(), 12u);
    joined.insert(joined.end(), part->payload.begin(), part->payload.end());
  }
  EXPECT_EQ(joined, payload);
}

TEST(DataEnvelope, PartsBeginAbove255KiBAndEndAt256) {
  const std::vector<uint8_t> payload = Counted(kMaxDataPayload + 1);
  DataEnvelope envelope;
  envelope.payload = ByteView(payload).first(kMaxDataPart);
  EXPECT_EQ(WriteDataMessages(envelope).size(), 1u);
  envelope.payload = ByteView(payload).first(kMaxDataPart + 1);
  EXPECT_EQ(WriteDataMessages(envelope).size(), 2u);
  envelope.payload = payload;
  EXPECT_TRUE(WriteDataMessages(envelope).empty());
}

// A receiver that joins parts need not check their sizes.
TEST(DataEnvelope, RejectsPartsOfInvalidSize) {
  // The SDKs' tests contain the same bytes.
  EXPECT_TRUE(ParseDataEnvelope(std::vector<uint8_t>{1, 0x10, 0, 0, 0, 9, 0, 0, 0, 'x'}));
  EXPECT_FALSE(ParseDataEnvelope(std::vector<uint8_t>{1, 0x10, 0, 0, 0, 9, 0, 0, 0}));  // an empty last part
  EXPECT_FALSE(
      ParseDataEnvelope(std::vector<uint8_t>{1, 0x08, 0, 0, 0, 9, 0, 0, 0, 'x'}));  // a short first part
  EXPECT_FALSE(ParseDataEnvelope(std::vector<uint8_t>{1, 0x18, 0, 0, 0, 9, 0, 0, 0, 'x'}));  // both
  std::vector<uint8_t> last{1, 0x10, 0, 0, 0, 9, 0, 0, 0};
  last.resize(last.size() + kMaxDataHeader + 1);
  EXPECT_FALSE(ParseDataEnvelope(last));
}

}  // namespace
}  // namespace nexus
