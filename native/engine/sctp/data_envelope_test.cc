#include "engine/sctp/data_envelope.h"

#include <gtest/gtest.h>

#include <string>

namespace nexus {
namespace {

std::vector<uint8_t> Bytes(std::string_view text) { return {text.begin(), text.end()}; }

// The same bytes stand in the SDKs' tests.
TEST(DataEnvelope, FromAClientToTwo) {
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

TEST(DataEnvelope, EveryCutOfTheHeaderIsRefused) {
  DataEnvelope envelope;
  envelope.sender = "PA_1";
  envelope.topic = "t";
  envelope.destinations = {"PA_2"};
  const std::vector<uint8_t> wire = WriteDataEnvelope(envelope);
  for (size_t size = 0; size < wire.size(); ++size) {
    EXPECT_FALSE(ParseDataEnvelope(ByteView(wire).first(size))) << size;
  }
}

TEST(DataEnvelope, UnknownVersionsAndFlagsAreRefused) {
  std::vector<uint8_t> wire = WriteDataEnvelope({});
  ASSERT_TRUE(ParseDataEnvelope(wire));
  wire[1] = 0x08;
  EXPECT_FALSE(ParseDataEnvelope(wire));
  wire[1] = 0;
  wire[0] = 2;
  EXPECT_FALSE(ParseDataEnvelope(wire));
}

TEST(DataEnvelope, BoundsHoldBothWays) {
  const std::string long_topic(kMaxDataTopic + 1, 't');
  const std::string long_id(kMaxDataIdentifier, 'i');
  DataEnvelope envelope;
  envelope.topic = long_topic;
  EXPECT_TRUE(WriteDataEnvelope(envelope).empty());
  envelope.topic = {};
  envelope.destinations.assign(kMaxDataDestinations, long_id);  // each is allowed, together they are too long
  EXPECT_TRUE(WriteDataEnvelope(envelope).empty());
  envelope.destinations.assign(kMaxDataDestinations + 1, "i");
  EXPECT_TRUE(WriteDataEnvelope(envelope).empty());
  envelope.destinations.assign(1, "");
  EXPECT_TRUE(WriteDataEnvelope(envelope).empty());
  EXPECT_FALSE(ParseDataEnvelope(std::vector<uint8_t>{1, 0, 0, 0, 1, 0}));  // a destination without a name
}

}  // namespace
}  // namespace nexus
