// Data messages through the shard: their receivers, the rights of senders, and what slow or hostile peers
// cost others.
#include <gtest/gtest.h>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Talker {
  Member* member = nullptr;
  TestData* data = nullptr;
};

class DataCallTest : public ::testing::Test {
 protected:
  DataCallTest() : call_(EmulatedOptions()) {}
  Talker Join(std::string participant, bool publish = true, bool receive = true,
              uint64_t max_message_size = 256u << 10) {
    Talker talker;
    talker.member = &call_.Join();
    talker.data = &talker.member->peer->UseData();
    DataSettings settings;
    settings.participant = std::move(participant);
    settings.publish = publish;
    settings.receive = receive;
    settings.max_message_size = max_message_size;
    call_.Command(ConfigureData{talker.member->transport, settings});
    return talker;
  }
  bool Connected() {
    if (!call_.RunUntilConnected()) return false;
    return call_.RunUntil(seconds(10), [&] {
      return std::ranges::all_of(call_.members,
                                 [](const auto& member) { return member->peer->UseData().channels.up(); });
    });
  }
  uint64_t Drops(DropReason reason) { return call_.shard().drops()[reason]; }
  TransportStats Stats(const Talker& talker) {
    return call_.shard().FindTransport(talker.member->transport)->Stats();
  }

  TestCall call_;
};

TEST_F(DataCallTest, AMessageToTheRoomReachesAllOthersUnderTheSendersName) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben");
  const Talker cleo = Join("PA_cleo");
  ASSERT_TRUE(Connected());
  anna.data->Send(anna.data->Open(), "hello", {}, "chat");
  ASSERT_TRUE(call_.RunUntil(seconds(5),
                             [&] { return ben.data->received.size() + cleo.data->received.size() == 2; }));
  for (const Talker& other : {ben, cleo}) {
    ASSERT_EQ(other.data->received.size(), 1u);
    const ReceivedData& data = *other.data->received[0];
    ASSERT_TRUE(data.envelope);
    EXPECT_EQ(data.envelope->sender, "PA_anna");
    EXPECT_EQ(data.envelope->topic, "chat");
    EXPECT_EQ(data.Payload(), "hello");
    EXPECT_FALSE(data.envelope->directed || data.envelope->from_server);
    EXPECT_TRUE(data.kind.reliable() && data.kind.ordered);
  }
  EXPECT_TRUE(anna.data->received.empty());
  EXPECT_EQ(Stats(anna).data_messages_in, 1u);
  EXPECT_EQ(Stats(ben).data_messages_out, 1u);
}

TEST_F(DataCallTest, ADirectedMessageReachesOnlyItsDestinationsAndUnknownOnesAreCounted) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben");
  const Talker cleo = Join("PA_cleo");
  ASSERT_TRUE(Connected());
  anna.data->Send(anna.data->Open(), "psst", {"PA_cleo", "PA_nobody"});
  ASSERT_TRUE(call_.RunUntil(seconds(5), [&] { return cleo.data->received.size() == 1; }));
  call_.RunFor(seconds(1));
  EXPECT_TRUE(ben.data->received.empty());
  EXPECT_TRUE(cleo.data->received[0]->envelope->directed);
  EXPECT_TRUE(cleo.data->received[0]->envelope->destinations.empty());
  EXPECT_EQ(Drops(DropReason::kDataUnknownDestination), 1u);
}

TEST_F(DataCallTest, AReceiverOfSmallMessagesMissesLargeOnesAndNothingElse) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben", true, true, /*max_message_size=*/16u << 10);
  const Talker cleo = Join("PA_cleo");
  ASSERT_TRUE(Connected());
  const uint16_t stream = anna.data->Open();
  anna.data->Send(stream, std::string(20'000, 'x'));
  anna.data->Send(stream, "small");
  ASSERT_TRUE(call_.RunUntil(seconds(10), [&] { return cleo.data->received.size() == 2; }));
  ASSERT_TRUE(call_.RunUntil(seconds(10), [&] { return !ben.data->received.empty(); }));
  EXPECT_EQ(ben.data->received.size(), 1u);
  EXPECT_EQ(ben.data->received[0]->Payload(), "small");
  EXPECT_EQ(Drops(DropReason::kDataTooLarge), 1u);
  EXPECT_EQ(Stats(ben).data_messages_dropped, 1u);
}

TEST_F(DataCallTest, ReliabilityAndOrderAreThoseOfTheSender) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben");
  ASSERT_TRUE(Connected());
  for (const bool reliable : {true, false}) {
    for (const bool ordered : {true, false}) anna.data->Send(anna.data->Open(reliable, ordered), "x");
  }
  ASSERT_TRUE(call_.RunUntil(seconds(5), [&] { return ben.data->received.size() == 4; }));
  std::set<std::pair<bool, bool>> kinds;
  for (const auto& data : ben.data->received) kinds.emplace(data->kind.reliable(), data->kind.ordered);
  EXPECT_EQ(kinds.size(), 4u);
}

TEST_F(DataCallTest, WithoutTheGrantNothingIsForwardedAndWithoutSubscribeNothingIsReceived) {
  const Talker anna = Join("PA_anna", /*publish=*/false);
  const Talker ben = Join("PA_ben");
  const Talker cleo = Join("PA_cleo", true, /*receive=*/false);
  ASSERT_TRUE(Connected());
  anna.data->Send(anna.data->Open(), "no");
  ben.data->Send(ben.data->Open(), "yes");
  ASSERT_TRUE(call_.RunUntil(seconds(5), [&] { return anna.data->received.size() == 1; }));
  call_.RunFor(seconds(1));
  EXPECT_TRUE(ben.data->received.empty() && cleo.data->received.empty());
  EXPECT_EQ(Drops(DropReason::kDataNotPermitted), 1u);
}

TEST_F(DataCallTest, SenderNamesCannotBeForged) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben");
  ASSERT_TRUE(Connected());
  const uint16_t stream = anna.data->Open();
  DataEnvelope forged;
  forged.sender = "PA_cleo";
  anna.data->SendRaw(stream, WriteDataEnvelope(forged));
  forged = {};
  forged.from_server = true;
  anna.data->SendRaw(stream, WriteDataEnvelope(forged));
  anna.data->SendRaw(stream, {1, 2, 3});
  call_.RunFor(seconds(2));
  EXPECT_TRUE(ben.data->received.empty());
  EXPECT_EQ(Drops(DropReason::kDataMalformed), 3u);
  EXPECT_EQ(Stats(anna).data_messages_dropped, 3u);
}

TEST_F(DataCallTest, AHiddenSenderHasNoName) {
  const Talker hidden = Join("");
  const Talker ben = Join("PA_ben");
  ASSERT_TRUE(Connected());
  hidden.data->Send(hidden.data->Open(), "boo");
  ASSERT_TRUE(call_.RunUntil(seconds(5), [&] { return ben.data->received.size() == 1; }));
  EXPECT_EQ(ben.data->received[0]->envelope->sender, "");
  EXPECT_FALSE(ben.data->received[0]->envelope->from_server);
}

TEST_F(DataCallTest, TheServerSendsToAllAndToOne) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben");
  ASSERT_TRUE(Connected());
  call_.RunFor(seconds(1));  // the server's side is up slightly later than the client's
  DataEnvelope envelope;
  envelope.from_server = true;
  envelope.topic = "news";
  const auto message = std::make_shared<const std::vector<uint8_t>>(WriteDataEnvelope(envelope));
  call_.Command(SendData{call_.room(), {}, {}, {message}});
  ASSERT_TRUE(call_.RunUntil(
      seconds(5), [&] { return anna.data->received.size() == 1 && ben.data->received.size() == 1; }));
  EXPECT_TRUE(anna.data->received[0]->envelope->from_server);
  EXPECT_EQ(anna.data->received[0]->envelope->topic, "news");
  call_.Command(SendData{call_.room(), {ben.member->transport}, {}, {message}});
  ASSERT_TRUE(call_.RunUntil(seconds(5), [&] { return ben.data->received.size() == 2; }));
  call_.RunFor(seconds(1));
  EXPECT_EQ(anna.data->received.size(), 1u);
}

TEST_F(DataCallTest, AMessageOf256KiBSurvivesALossyNetwork) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben");
  ASSERT_TRUE(Connected());
  call_.network().conditions.loss = 0.03;
  call_.network().conditions.jitter = milliseconds(20);
  const std::string payload((256u << 10) - kMaxDataHeader, 'p');
  ASSERT_EQ(anna.data->Send(anna.data->Open(), payload), DataSendOutcome::kQueued);
  ASSERT_TRUE(call_.RunUntil(seconds(60), [&] { return ben.data->received.size() == 1; }));
  EXPECT_EQ(ben.data->received[0]->Payload(), payload);
}

TEST_F(DataCallTest, TheLargestPayloadArrivesInTwoPartsInOrder) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben");
  ASSERT_TRUE(Connected());
  const std::string payload(kMaxDataPayload, 'p');
  DataEnvelope envelope;
  envelope.number = 77;
  envelope.payload = {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()};
  const uint16_t stream = anna.data->Open();
  for (auto& message : WriteDataMessages(envelope)) {
    ASSERT_EQ(anna.data->SendRaw(stream, std::move(message)), DataSendOutcome::kQueued);
  }
  ASSERT_TRUE(call_.RunUntil(seconds(60), [&] { return ben.data->received.size() == 2; }));
  const auto& [first, last] = std::tie(ben.data->received[0], ben.data->received[1]);
  EXPECT_EQ(first->envelope->part, DataPart::kFirst);
  EXPECT_EQ(last->envelope->part, DataPart::kLast);
  EXPECT_EQ(last->envelope->number, 77u);
  EXPECT_EQ(last->envelope->sender, "PA_anna");
  EXPECT_EQ(first->Payload() + last->Payload(), payload);
}

TEST_F(DataCallTest, MessagesArriveWhileMediaFlows) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben");
  call_.Publish(*anna.member, MediaKind::kVideo);
  call_.AddSlot(*ben.member, MediaKind::kAudio);
  call_.AddSlot(*ben.member, MediaKind::kVideo);
  call_.Command(BindSlot{ben.member->slots[1].id, anna.member->video_track});
  call_.StartMedia(*anna.member);
  ASSERT_TRUE(Connected());
  const uint16_t from_anna = anna.data->Open();
  const uint16_t from_ben = ben.data->Open();
  call_.Every(milliseconds(50), [&] {
    anna.data->Send(from_anna, std::string(2'000, 'a'));
    ben.data->Send(from_ben, std::string(2'000, 'b'));
  });
  call_.RunFor(seconds(5));
  EXPECT_GT(anna.data->received.size(), 80u);
  EXPECT_GT(ben.data->received.size(), 80u);
  EXPECT_EQ(ben.member->slots[1].stream->Faults(call_.csrcs()), "");
}

TEST_F(DataCallTest, ForeignChannelsAreClosed) {
  const Talker anna = Join("PA_anna");
  ASSERT_TRUE(Connected());
  anna.data->Open(true, true, "sip");
  ASSERT_TRUE(call_.RunUntil(seconds(5), [&] { return anna.data->closed == 1; }));
  EXPECT_EQ(Drops(DropReason::kDataUnknownProtocol), 1u);
}

// Hard problem 17: a receiver that reads nothing delays the sender and the room for some seconds, and costs
// no memory.
TEST_F(DataCallTest, AStalledReaderDelaysTheSenderAndIsThenClosed) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben");
  const Talker slow = Join("PA_slow");
  ASSERT_TRUE(Connected());
  slow.data->reading = false;
  const uint16_t stream = anna.data->Open();
  int refused = 0;
  uint64_t sent = 0;
  call_.Every(milliseconds(20), [&] {
    if (anna.data->Send(stream, std::string(30'000, 'z')) == DataSendOutcome::kQueued) {
      ++sent;
    } else {
      ++refused;
    }
  });
  call_.RunFor(seconds(4));
  EXPECT_GT(refused, 0);  // the sender was delayed
  call_.RunFor(seconds(20));
  EXPECT_GE(Drops(DropReason::kDataSlowReader), 1u);
  const size_t before = ben.data->received.size();
  call_.RunFor(seconds(5));
  EXPECT_GT(ben.data->received.size(), before + 100);  // the others continue
  // The fast reader received every accepted message, in order and once.
  EXPECT_LE(ben.data->received.size(), sent);
}

TEST_F(DataCallTest, AFloodIsLimitedToTheRateAndNothingIsLost) {
  const Talker anna = Join("PA_anna");
  const Talker ben = Join("PA_ben");
  ASSERT_TRUE(Connected());
  const uint16_t stream = anna.data->Open();
  uint64_t sent = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (anna.data->Send(stream, "0123456789") == DataSendOutcome::kQueued) ++sent;
  }
  call_.RunFor(seconds(3));
  // The burst of one second, and three seconds at the rate.
  EXPECT_LE(Stats(anna).data_messages_in, 4'100u);
  EXPECT_GE(Stats(anna).data_messages_in, 3'000u);
  ASSERT_TRUE(call_.RunUntil(seconds(60), [&] { return ben.data->received.size() == sent; }));
}

TEST_F(DataCallTest, JoiningAndLeavingLeavesNothingBehind) {
  const Talker anna = Join("PA_anna");
  ASSERT_TRUE(Connected());
  const uint16_t stream = anna.data->Open();
  for (int i = 0; i < 10; ++i) {
    const Talker other = Join("PA_other");
    ASSERT_TRUE(call_.RunUntil(seconds(10), [&] { return other.data->channels.up(); }));
    anna.data->Send(stream, std::string(100'000, 'x'));
    call_.RunFor(milliseconds(i * 7));
    call_.Command(CloseTransport{other.member->transport});
  }
  call_.RunFor(seconds(1));
  call_.Command(CloseRoom{call_.room()});
  EXPECT_EQ(call_.shard().counts(), Shard::Counts{});
}

TEST_F(DataCallTest, DataFromAPeerWithoutChannelsIsCounted) {
  Member& member = call_.Join();
  member.peer->UseData();
  ASSERT_TRUE(call_.RunUntilConnected());
  call_.RunFor(seconds(2));
  EXPECT_GT(Drops(DropReason::kDataNotNegotiated), 0u);
}

}  // namespace
}  // namespace nexus::testing
