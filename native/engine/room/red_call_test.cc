// Redundant audio through the shard (RFC 2198; hard problem 21): forwarded, stripped, added, and used to
// recover packets that the SFU itself has lost.
#include <gtest/gtest.h>

#include <sstream>

#include "engine/rtp/red.h"
#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

EmulatedCallOptions Options(uint64_t seed, uint8_t red_distance = 1) {
  EmulatedCallOptions options = EmulatedOptions(seed);
  options.shard.red_distance = red_distance;
  return options;
}

// A speaker, whose packets are sent as `packet` says, and a listener.
struct Talk {
  Talk(TestCall& emulated, bool speaker_has_red, bool listener_has_red)
      : call(emulated),
        speaker(call.Join({.red = speaker_has_red})),
        listener(call.Join({.first_payload_type = 110, .red = listener_has_red})) {
    listener.peer->fraction_lost = 0;
    call.Publish(speaker, MediaKind::kAudio);
    call.AddSlot(listener, MediaKind::kAudio);
    call.Every(milliseconds(20), [this] {
      if (!speaker.peer->connected() || silent) return;
      packet.lost = lose(speaker.audio->sequence);
      speaker.peer->SendAudio(*speaker.audio, call.now(), packet);
    });
    call.Every(seconds(1), [this] {
      if (speaker.audio->packets > 0) speaker.peer->SendSenderReport(*speaker.audio, call.now());
      listener.peer->SendReceiverReports(call.now());
    });
  }
  ReceivedStream& heard() { return *listener.slots[0].stream; }
  size_t WithRed() {
    return static_cast<size_t>(std::count_if(
        heard().packets.begin(), heard().packets.end(),
        [&](const auto& p) { return p.second.payload_type == listener.peer->red_payload_type().value; }));
  }
  // Redundant blocks that differ from the packets of their own sequence numbers.
  std::string RedFaults() {
    std::ostringstream faults;
    for (const auto& [sequence, with] : heard().packets) {
      auto number = sequence - static_cast<int64_t>(with.redundant.size());
      for (const ReceivedPacket::Redundant& block : with.redundant) {
        const auto own = heard().packets.find(number++);
        if (!block.mark || !with.mark || block.mark->mark != with.mark->mark) {
          faults << sequence << ": carries another source's packet\n";
        }
        if (own == heard().packets.end()) continue;
        if (own->second.timestamp != block.timestamp || own->second.csrc != with.csrc) {
          faults << sequence << ": time or source of " << number - 1 << " differ\n";
        }
        if (block.mark && own->second.mark && own->second.mark->frame != block.mark->frame) {
          faults << sequence << ": carries another packet than " << number - 1 << "\n";
        }
      }
    }
    return faults.str();
  }

  TestCall& call;
  AudioPacketOptions packet;
  bool silent = false;
  std::function<bool(int64_t)> lose = [](int64_t) { return false; };
  Member& speaker;
  Member& listener;
};

TEST(RedCall, IsPassedWhereBothSidesHaveIt) {
  TestCall call(Options(1));
  Talk talk(call, true, true);
  talk.packet.redundancy = 1;
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  ASSERT_GT(talk.heard().packets.size(), 200u);
  EXPECT_GE(talk.WithRed() + 1, talk.heard().packets.size()) << "all but the first";
  for (const auto& [sequence, packet] : talk.heard().packets) EXPECT_LE(packet.redundant.size(), 1u);
  EXPECT_EQ(talk.heard().Faults(call.csrcs()), "");
  EXPECT_EQ(talk.RedFaults(), "");
}

TEST(RedCall, IsStrippedForAListenerWithoutIt) {
  TestCall call(Options(2));
  Talk talk(call, true, false);
  talk.packet.redundancy = 2;
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  ASSERT_GT(talk.heard().packets.size(), 200u);
  for (const auto& [sequence, packet] : talk.heard().packets) {
    ASSERT_EQ(packet.payload_type, 112) << "Opus";
    ASSERT_EQ(packet.payload_size, 80u) << "the primary, byte for byte";
  }
  EXPECT_EQ(talk.heard().Faults(call.csrcs()), "");
}

TEST(RedCall, IsAddedToPlainOpusWhileTheListenerLosesPackets) {
  TestCall call(Options(3));
  Talk talk(call, false, true);
  talk.listener.peer->fraction_lost = 0;
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(4));
  EXPECT_EQ(talk.WithRed(), 0u) << "without loss there is no redundancy";
  talk.listener.peer->fraction_lost = 13;  // 5 %
  call.RunFor(seconds(3));
  const size_t with_red = talk.WithRed();
  EXPECT_GT(with_red, 80u);
  talk.listener.peer->fraction_lost = 0;
  call.RunFor(seconds(12));
  const size_t until_forgotten = talk.WithRed();
  EXPECT_GT(until_forgotten, with_red + 400);
  call.RunFor(seconds(2));
  EXPECT_EQ(talk.WithRed(), until_forgotten);
  EXPECT_EQ(talk.heard().Faults(call.csrcs()), "");
  EXPECT_EQ(talk.RedFaults(), "");
}

// On a lossy uplink, packets that the publisher's redundancy recovers reach all listeners, also those without
// RED.
TEST(RedCall, PacketsThatTheSfuLostAreRecoveredForAllListeners) {
  for (const bool listener_has_red : {false, true}) {
    TestCall call(Options(4));
    Talk talk(call, true, listener_has_red);
    talk.packet.redundancy = 1;
    talk.lose = [](int64_t sequence) { return sequence % 7 == 0; };
    ASSERT_TRUE(call.RunUntilConnected());
    call.RunFor(seconds(10));
    ASSERT_GT(talk.heard().packets.size(), 400u);
    EXPECT_TRUE(talk.heard().Missing().empty());
    EXPECT_EQ(talk.heard().Faults(call.csrcs()), "");
    EXPECT_EQ(talk.RedFaults(), "");
    call.Command(RequestStats{1, call.room()});
    call.RunFor(milliseconds(1));
    const StatsReady report = call.EventsOf<StatsReady>().back();
    ASSERT_EQ(report.tracks.size(), 1u);
    EXPECT_GT(report.tracks[0].red_recovered, 60u);
    EXPECT_GT(report.tracks[0].packets_lost, 60) << "receiver reports still count them as lost";
  }
}

// DTX: between words every twentieth packet is sent. Sequence numbers and timestamps continue without fault.
TEST(RedCall, SilenceIsNeitherLossNorRedundancy) {
  TestCall call(Options(5));
  Talk talk(call, true, true);
  talk.packet.redundancy = 1;
  ASSERT_TRUE(call.RunUntilConnected());
  for (int word = 0; word < 5; ++word) {
    talk.silent = false;
    talk.packet = {.level = 20, .redundancy = 1};
    call.RunFor(milliseconds(600));
    talk.packet = {.level = 127, .size = 2, .redundancy = 1};
    for (int comfort = 0; comfort < 3; ++comfort) {
      talk.silent = true;
      call.RunFor(milliseconds(380));
      talk.silent = false;
      call.RunFor(milliseconds(20));
    }
  }
  EXPECT_TRUE(talk.heard().Missing().empty());
  size_t comfort_noise = 0;
  const ReceivedPacket* before = nullptr;
  for (const auto& [sequence, packet] : talk.heard().packets) {
    comfort_noise += packet.payload_size == 2;
    for (const ReceivedPacket::Redundant& block : packet.redundant) {
      ASSERT_NE(before, nullptr);
      EXPECT_EQ(block.timestamp, before->timestamp);
      EXPECT_LE(packet.timestamp - block.timestamp, kMaxRedTimestampOffset);
    }
    before = &packet;
  }
  EXPECT_GE(comfort_noise, 10u) << "after a long silence they have no redundancy";
}

// Two speakers alternate in one slot, one with RED and one without. No packet contains audio of the other.
TEST(RedCall, ARebindDropsTheOldSpeakersRedundancy) {
  TestCall call(Options(6));
  Talk talk(call, true, true);
  talk.packet.redundancy = 2;
  Member& other = call.Join();
  call.Publish(other, MediaKind::kAudio);
  call.Every(milliseconds(20), [&] {
    if (other.peer->connected()) other.peer->SendAudio(*other.audio, call.now(), 20);
  });
  call.Command(SetSubscribed{talk.listener.transport, other.audio_track, false});
  ASSERT_TRUE(call.RunUntilConnected());
  for (int turn = 0; turn < 6; ++turn) {
    call.RunFor(milliseconds(500));
    const bool back = turn % 2 == 1;
    call.Command(SetSubscribed{talk.listener.transport, talk.speaker.audio_track, back});
    call.Command(SetSubscribed{talk.listener.transport, other.audio_track, !back});
  }
  call.RunFor(milliseconds(500));
  std::set<uint32_t> sources;
  for (const auto& [sequence, packet] : talk.heard().packets) sources.insert(packet.csrc);
  EXPECT_EQ(sources.size(), 2u);
  EXPECT_EQ(talk.heard().Faults(call.csrcs()), "");
  EXPECT_EQ(talk.RedFaults(), "");
}

TEST(RedCall, WhenTurnedOffItIsStrippedForAll) {
  TestCall call(Options(7, 0));
  Talk talk(call, true, true);
  talk.packet.redundancy = 1;
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(3));
  EXPECT_GT(talk.heard().packets.size(), 100u);
  EXPECT_EQ(talk.WithRed(), 0u);
}

// Hard problem 24: malformed packets are counted and dropped, and the call continues.
TEST(RedCall, MalformedRedundancyIsDropped) {
  TestCall call(Options(8));
  Talk talk(call, true, true);
  talk.packet.redundancy = 1;
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  const auto send = [&](const std::vector<uint8_t>& payload) {
    std::vector<uint8_t> header(12);
    ByteWriter writer(header);
    writer.U8(0x80);
    writer.U8(talk.speaker.peer->red_payload_type().value);
    writer.U16(static_cast<uint16_t>(talk.speaker.audio->sequence));
    writer.U32(talk.speaker.audio->TimestampAt(call.now()));
    writer.U32(talk.speaker.audio->options.ssrc.value);
    talk.speaker.peer->SendRtp(header, payload, static_cast<uint64_t>(talk.speaker.audio->sequence++));
  };
  send({0xFF, 0xFF, 0xFF});                       // headers that do not end
  send({0x80 | 98, 0x0F, 0x03, 0xFF, 98, 1, 2});  // a block longer than the packet
  send({100, 1, 2, 3});                           // another codec's
  call.RunFor(seconds(1));
  EXPECT_EQ(call.shard().drops()[DropReason::kRedMalformed], 3u);
  // Their sequence numbers are missing; the packets after them are forwarded.
  EXPECT_EQ(talk.heard().Missing().size(), 3u);
  EXPECT_GT(talk.heard().packets.size(), 90u);
  EXPECT_EQ(talk.RedFaults(), "");
}

}  // namespace
}  // namespace nexus::testing
