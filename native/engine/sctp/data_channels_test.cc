// Two ends of data channels over an emulated network in emulated time: guarantees hold under loss, reordering
// and duplication, and everything that a peer can grow is bounded (hard problem 17).
#include "engine/sctp/data_channels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "engine/dtls/emulated_wall_clock.h"
#include "testing/emulated_network.h"

namespace nexus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Datagram;
using testing::EmulatedNetwork;

SharedBytes Filled(size_t size, uint8_t value) {
  return std::make_shared<const std::vector<uint8_t>>(size, value);
}

// One end, which stores what it receives.
struct End {
  End(bool dtls_client, const DataChannelLimits& limits, SctpWakeList& wake, size_t peer_max_message)
      : channels(SctpConfig{}, limits, dtls_client, peer_max_message, wake, nullptr) {}
  void Read() {
    while (reading) {
      auto event = channels.Poll();
      if (!event) break;
      if (auto* message = std::get_if<DataChannelMessage>(&*event)) messages.push_back(std::move(*message));
      if (const auto* opened = std::get_if<DataChannelOpened>(&*event))
        this->opened.push_back(opened->stream);
      if (const auto* closed = std::get_if<DataChannelClosed>(&*event))
        this->closed.push_back(closed->stream);
      if (std::holds_alternative<DataChannelsDown>(*event)) ++downs;
    }
    const DataChannelDrops taken = channels.TakeDrops();
    for (size_t i = 0; i < taken.size(); ++i) drops[i] += taken[i];
  }
  uint64_t Drops(DataChannelDrop why) const { return drops[static_cast<size_t>(why)]; }

  SocketAddress address;
  DataChannels channels;
  bool reading = true;
  std::vector<DataChannelMessage> messages;
  std::vector<uint16_t> opened;
  std::vector<uint16_t> closed;
  int downs = 0;
  size_t largest_packet = 0;
  DataChannelDrops drops{};
};

class DataChannelsTest : public ::testing::Test {
 protected:
  explicit DataChannelsTest(DataChannelLimits limits = {}, size_t peer_max_message = 256u << 10,
                            bool client_knows_its_role = true)
      : network_(7),
        server_(false, limits, wake_, peer_max_message),
        client_(client_knows_its_role, limits, wake_, peer_max_message) {
    server_.address = *SocketAddress::Parse("192.0.2.1", 1);
    client_.address = *SocketAddress::Parse("192.0.2.2", 2);
    SetEmulatedWallClock(now_);
    SctpStack::Get().RunTimers(now_);
  }

  void Connect() {
    server_.channels.Connect();
    client_.channels.Connect();
    ASSERT_TRUE(RunUntil(seconds(30), [&] { return server_.channels.up() && client_.channels.up(); }));
  }

  bool RunUntil(Duration at_most, const std::function<bool()>& done) {
    const Timestamp end = now_ + at_most;
    while (!done()) {
      if (now_ >= end) return false;
      Step();
    }
    return true;
  }
  void RunFor(Duration duration) {
    RunUntil(duration, [] { return false; });
  }
  void Step() {
    now_ += milliseconds(5);
    SetEmulatedWallClock(now_);
    SctpStack::Get().RunTimers(now_);
    Datagram datagram;
    while (network_.Receive(now_, datagram)) {
      End& end = datagram.to == server_.address ? server_ : client_;
      end.channels.HandlePacket(datagram.bytes);
    }
    for (End* end : {&server_, &client_}) {
      end->Read();
      end->channels.Flush();
      const SocketAddress& to = end == &server_ ? client_.address : server_.address;
      while (auto packet = end->channels.PollTransmit()) {
        end->largest_packet = std::max(end->largest_packet, packet->size());
        network_.Send({end->address, to, std::move(*packet)}, now_);
      }
    }
    wake_.Take();
  }
  uint16_t OpenFromClient(const DataChannelOptions& options) {
    const auto stream = client_.channels.Open(options);
    EXPECT_TRUE(stream);
    EXPECT_TRUE(RunUntil(seconds(30), [&] {
      return std::ranges::count(server_.opened, *stream) > 0 &&
             std::ranges::count(client_.opened, *stream) > 0;
    }));
    return stream.value_or(0);
  }
  void MakeBad(double loss = 0.1) {
    network_.conditions.loss = loss;
    network_.conditions.duplication = 0.05;
    network_.conditions.jitter = milliseconds(40);
  }

  Timestamp now_ = TimestampFromMicros(1'000'000'000);
  SctpWakeList wake_;
  EmulatedNetwork network_;
  End server_;
  End client_;
};

TEST_F(DataChannelsTest, OpensAChannelWithAllItsPropertiesFromEitherSide) {
  Connect();
  DataChannelOptions options;
  options.ordered = false;
  options.max_lifetime_ms = 200;
  options.label = "cursor";
  options.protocol = "nexus.data.v1";
  const uint16_t stream = OpenFromClient(options);
  EXPECT_EQ(stream % 2, 0);  // RFC 8832 section 6: the DTLS client uses even ids
  ASSERT_NE(server_.channels.Find(stream), nullptr);
  EXPECT_EQ(*server_.channels.Find(stream), options);
  const auto other = server_.channels.Open(options);
  ASSERT_TRUE(other);
  EXPECT_EQ(*other % 2, 1);
  EXPECT_TRUE(RunUntil(seconds(5), [&] { return client_.channels.Find(*other) != nullptr; }));
}

TEST_F(DataChannelsTest, ReliableOrderedMessagesSurviveABadNetwork) {
  MakeBad();
  Connect();
  const uint16_t stream = OpenFromClient({});
  for (uint8_t i = 0; i < 200; ++i) client_.channels.Send(stream, false, Filled(1 + i * 37, i));
  ASSERT_TRUE(RunUntil(seconds(120), [&] { return server_.messages.size() == 200; }));
  for (uint8_t i = 0; i < 200; ++i) {
    EXPECT_EQ(server_.messages[i].bytes, std::vector<uint8_t>(1 + i * 37, i));
  }
}

TEST_F(DataChannelsTest, AMessageOf256KiBArrivesCompleteBothWays) {
  MakeBad(0.02);
  Connect();
  const uint16_t stream = OpenFromClient({});
  client_.channels.Send(stream, false, Filled(256u << 10, 0xA1));
  server_.channels.Send(stream, true, Filled(256u << 10, 'b'));
  ASSERT_TRUE(
      RunUntil(seconds(120), [&] { return server_.messages.size() == 1 && client_.messages.size() == 1; }));
  EXPECT_EQ(server_.messages[0].bytes, *Filled(256u << 10, 0xA1));
  EXPECT_EQ(client_.messages[0].bytes, *Filled(256u << 10, 'b'));
  EXPECT_TRUE(client_.messages[0].text);
  EXPECT_LE(server_.largest_packet, SctpConfig{}.mtu);
  EXPECT_LE(client_.largest_packet, SctpConfig{}.mtu);
}

TEST_F(DataChannelsTest, EmptyMessagesStayEmptyAndKeepTheirKind) {
  Connect();
  const uint16_t stream = OpenFromClient({});
  client_.channels.Send(stream, true, Filled(0, 0));
  client_.channels.Send(stream, false, Filled(0, 0));
  ASSERT_TRUE(RunUntil(seconds(5), [&] { return server_.messages.size() == 2; }));
  EXPECT_TRUE(server_.messages[0].text);
  EXPECT_FALSE(server_.messages[1].text);
  EXPECT_TRUE(server_.messages[0].bytes.empty() && server_.messages[1].bytes.empty());
}

TEST_F(DataChannelsTest, LargeMessagesOfOneChannelDoNotBlockAnother) {
  Connect();
  const uint16_t large = OpenFromClient({});
  const uint16_t small = OpenFromClient({});
  for (int i = 0; i < 4; ++i) client_.channels.Send(large, false, Filled(200u << 10, 1));
  client_.channels.Send(small, false, Filled(10, 2));
  ASSERT_TRUE(RunUntil(seconds(60), [&] { return server_.messages.size() == 5; }));
  // Channels take turns: the small message waits only for what SCTP already has.
  EXPECT_NE(server_.messages.back().stream, small);
}

TEST_F(DataChannelsTest, LossyMessagesMayBeLostButTheOthersAreComplete) {
  Connect();
  DataChannelOptions options;
  options.ordered = false;
  options.max_retransmits = 0;
  const uint16_t stream = OpenFromClient(options);
  MakeBad(0.2);
  for (uint8_t i = 0; i < 200; ++i) {
    client_.channels.Send(stream, false, Filled(3'000, i));
    Step();
  }
  RunFor(seconds(20));
  EXPECT_GT(server_.messages.size(), 20u);
  EXPECT_LT(server_.messages.size(), 200u);
  for (const DataChannelMessage& message : server_.messages) {
    ASSERT_EQ(message.bytes.size(), 3'000u);
    EXPECT_EQ(std::ranges::count(message.bytes, message.bytes[0]), 3'000);
  }
}

TEST_F(DataChannelsTest, ClosingResetsTheStreamAndFreesItsId) {
  MakeBad();
  Connect();
  const uint16_t stream = OpenFromClient({});
  client_.channels.Close(stream);
  ASSERT_TRUE(RunUntil(seconds(30), [&] { return server_.closed.size() == 1; }));
  ASSERT_TRUE(RunUntil(seconds(30), [&] {
    return server_.channels.channel_count() == 0 && client_.channels.channel_count() == 0;
  }));
  server_.opened.clear();
  client_.opened.clear();
  EXPECT_EQ(OpenFromClient({}), stream);
  client_.channels.Send(stream, true, Filled(5, 'x'));
  EXPECT_TRUE(RunUntil(seconds(30), [&] { return server_.messages.size() == 1; }));
}

TEST_F(DataChannelsTest, ManyChannelsOpenAndCloseWithoutLeaks) {
  Connect();
  for (int round = 0; round < 20; ++round) {
    std::vector<uint16_t> streams;
    for (int i = 0; i < 8; ++i) streams.push_back(*client_.channels.Open({}));
    ASSERT_TRUE(RunUntil(seconds(30), [&] { return server_.channels.channel_count() == 8; })) << round;
    // Some are closed by both sides at once.
    for (size_t i = 0; i < streams.size(); ++i) {
      if (i % 2 == 0) client_.channels.Close(streams[i]);
      if (i % 3 != 1) server_.channels.Close(streams[i]);
    }
    client_.channels.Close(streams[1]);
    client_.channels.Close(streams[7]);
    ASSERT_TRUE(RunUntil(seconds(60), [&] {
      return server_.channels.channel_count() == 0 && client_.channels.channel_count() == 0;
    })) << round;
  }
}

TEST_F(DataChannelsTest, AReaderThatStopsBlocksTheSenderWithinBounds) {
  Connect();
  const uint16_t stream = OpenFromClient({});
  server_.reading = false;
  int queued = 0;
  DataSendOutcome outcome = DataSendOutcome::kQueued;
  while (outcome == DataSendOutcome::kQueued && queued < 1'000) {
    outcome = client_.channels.Send(stream, false, Filled(64u << 10, 9));
    if (outcome == DataSendOutcome::kQueued) ++queued;
    RunFor(milliseconds(200));
  }
  EXPECT_EQ(outcome, DataSendOutcome::kFull);
  EXPECT_TRUE(client_.channels.congested());
  const DataChannelLimits limits;
  // Upper bound: the reader's window, the sender's SCTP buffer and the channel's queue.
  const SctpConfig sctp;
  EXPECT_LE(static_cast<size_t>(queued) * (64u << 10),
            limits.reliable_queue + sctp.send_buffer + sctp.receive_buffer + (64u << 10));
  EXPECT_LE(client_.channels.queued_bytes(), limits.reliable_queue);
  server_.reading = true;
  EXPECT_TRUE(RunUntil(seconds(120), [&] { return server_.messages.size() == static_cast<size_t>(queued); }));
  EXPECT_FALSE(client_.channels.congested());
  EXPECT_EQ(client_.Drops(DataChannelDrop::kSlowReader), 1u);
}

TEST_F(DataChannelsTest, ALossyQueueKeepsTheNewestMessages) {
  Connect();
  DataChannelOptions options;
  options.max_retransmits = 0;
  const uint16_t stream = OpenFromClient(options);
  network_.conditions.loss = 1;
  for (uint8_t i = 0; i < 100; ++i) client_.channels.Send(stream, false, Filled(30'000, i));
  EXPECT_LE(client_.channels.queued_bytes(), DataChannelLimits{}.lossy_queue);
  network_.conditions.loss = 0;
  RunFor(seconds(30));
  EXPECT_GT(client_.Drops(DataChannelDrop::kLossyOverflow), 50u);
  ASSERT_FALSE(server_.messages.empty());
  EXPECT_EQ(server_.messages.back().bytes.front(), 99);
}

TEST_F(DataChannelsTest, AnAbortReachesTheOtherSide) {
  Connect();
  OpenFromClient({});
  client_.channels.Abort();
  EXPECT_TRUE(RunUntil(seconds(5), [&] { return server_.downs == 1; }));
  EXPECT_EQ(server_.channels.channel_count(), 0u);
  EXPECT_EQ(server_.channels.Send(0, false, Filled(1, 1)), DataSendOutcome::kUnknownChannel);
}

TEST_F(DataChannelsTest, GivesUpAPeerThatIsGone) {
  Connect();
  const uint16_t stream = OpenFromClient({});
  network_.conditions.loss = 1;
  client_.channels.Send(stream, false, Filled(10, 1));
  EXPECT_TRUE(RunUntil(seconds(600), [&] { return client_.downs == 1; }));
}

class FewChannelsTest : public DataChannelsTest {
 protected:
  FewChannelsTest() : DataChannelsTest(Few()) {}
  static DataChannelLimits Few() {
    DataChannelLimits limits;
    limits.max_channels = 3;
    return limits;
  }
};

TEST_F(FewChannelsTest, ClosesChannelsBeyondTheLimit) {
  Connect();
  const auto own = server_.channels.Open({});
  ASSERT_TRUE(own);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client_.channels.Open({}));
  ASSERT_FALSE(client_.channels.Open({}));
  RunFor(seconds(5));
  EXPECT_LE(server_.channels.channel_count(), 3u);
  EXPECT_GT(
      server_.Drops(DataChannelDrop::kTooManyChannels) + client_.Drops(DataChannelDrop::kTooManyChannels),
      0u);
}

class LooseSenderTest : public DataChannelsTest {
 protected:
  LooseSenderTest() : DataChannelsTest({}, 300u << 10) {}
};

TEST_F(LooseSenderTest, AMessageBeyondTheLimitClosesOnlyItsChannel) {
  Connect();
  const uint16_t bad = OpenFromClient({});
  const uint16_t good = OpenFromClient({});
  ASSERT_EQ(client_.channels.Send(bad, false, Filled((256u << 10) + 1, 1)), DataSendOutcome::kQueued);
  client_.channels.Send(good, false, Filled(5, 2));
  ASSERT_TRUE(
      RunUntil(seconds(60), [&] { return client_.closed.size() == 1 && server_.messages.size() == 1; }));
  EXPECT_EQ(client_.closed[0], bad);
  EXPECT_EQ(server_.messages[0].stream, good);
  EXPECT_EQ(server_.Drops(DataChannelDrop::kTooLarge), 1u);
}

// A DTLS client that chooses ids like a server, as werift does.
class OddClientTest : public DataChannelsTest {
 protected:
  OddClientTest() : DataChannelsTest({}, 256u << 10, false) {}
};

TEST_F(OddClientTest, AcceptsIdsOfTheWrongParityAndDoesNotReuseThem) {
  Connect();
  const uint16_t stream = OpenFromClient({});
  EXPECT_EQ(stream, 1);
  client_.channels.Send(stream, false, Filled(3, 1));
  server_.channels.Send(stream, false, Filled(3, 2));
  ASSERT_TRUE(
      RunUntil(seconds(5), [&] { return server_.messages.size() == 1 && client_.messages.size() == 1; }));
  const auto other = server_.channels.Open({});
  ASSERT_TRUE(other);
  EXPECT_EQ(*other, 3);
  EXPECT_TRUE(RunUntil(seconds(5), [&] { return std::ranges::count(server_.opened, *other) > 0; }));
}

TEST_F(OddClientTest, BothSidesThatOpenTheSameIdCloseItAndOpenAnother) {
  Connect();
  const auto ours = server_.channels.Open({});
  const auto theirs = client_.channels.Open({});
  ASSERT_TRUE(ours && theirs);
  ASSERT_EQ(*ours, *theirs);
  ASSERT_TRUE(RunUntil(seconds(5), [&] {
    return server_.channels.OpenStreams().empty() && client_.channels.OpenStreams().empty();
  }));
  RunFor(seconds(2));
  server_.opened.clear();
  client_.opened.clear();
  const uint16_t stream = OpenFromClient({});
  client_.channels.Send(stream, true, Filled(1, 'x'));
  EXPECT_TRUE(RunUntil(seconds(5), [&] { return server_.messages.size() == 1; }));
}

}  // namespace
}  // namespace nexus
