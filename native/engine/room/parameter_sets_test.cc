// An H.264 source that sends its parameter sets once, as many hardware encoders do. Later subscribers receive
// them before the keyframe (hard problem 20).
#include <gtest/gtest.h>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using Bytes = std::vector<uint8_t>;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Bytes kSets = {0x78, 0, 5, 0x67, 0x42, 0xE0, 0x1F, 0x8C, 0, 3, 0x68, 0xCE, 0x06};
const Bytes kOtherSets = {0x78, 0, 5, 0x67, 0x42, 0xE0, 0x1E, 0x8C, 0, 3, 0x68, 0xCE, 0x06};
constexpr TapId kTap{501};

struct SetsOnce {
  explicit SetsOnce(uint64_t seed, size_t shards = 1)
      : call(EmulatedOptions(seed, shards)), publisher(call.Join({.video = Codec::kH264})) {
    call.Publish(publisher, MediaKind::kVideo);
  }
  Member& Viewer(size_t shard = 0) {
    Member& member = call.Join({.video = Codec::kH264}, shard);
    call.AddSlot(member, MediaKind::kVideo);
    call.StartMedia(member);
    return member;
  }
  void Connect() { ASSERT_TRUE(call.RunUntilConnected()); }
  void Packet(const Bytes& payload, bool marker) {
    const auto sequence = static_cast<uint16_t>(next_);
    Bytes header(12);
    ByteWriter writer(header);
    writer.U8(0x80);
    writer.U8(static_cast<uint8_t>((marker ? 0x80 : 0) | publisher.peer->options().first_payload_type));
    writer.U16(sequence);
    writer.U32(timestamp_);
    writer.U32(publisher.video->options.ssrc.value);
    publisher.peer->SendRtp(header, payload, static_cast<uint64_t>(next_));
    publisher.video->history[sequence] = {header, payload};
    ++next_;
    if (marker) timestamp_ += 3'600;
  }
  // One frame in three fragments, an IDR when one was requested. Larger fragments begin with the same bytes.
  void Frame(const Bytes& sets = {}) {
    const bool key = std::exchange(publisher.video->keyframe_wanted, false);
    if (!sets.empty()) Packet(sets, false);
    const uint8_t type = key ? 5 : 1;
    const uint8_t bits[] = {0x80, 0, 0x40};  // S, none, E
    for (uint8_t i = 0; i < 3; ++i) {
      Bytes payload = {0x7C, static_cast<uint8_t>(bits[i] | type), static_cast<uint8_t>(i + 1)};
      payload.resize(fragment_size, 0x33);
      Packet(payload, i == 2);
    }
    call.RunFor(milliseconds(40));
  }
  void Frames(int count) {
    for (int i = 0; i < count; ++i) Frame();
  }
  void Watch(Member& viewer) {
    call.Command(BindSlot{viewer.slots[0].id, publisher.video_track}, viewer.shard);
    call.RunFor(milliseconds(30));  // the request reaches the publisher
  }
  // The payloads that the viewer received, in order. Expects no gaps.
  static std::vector<Bytes> Seen(const Member& viewer) {
    EXPECT_TRUE(viewer.slots[0].stream->Missing().empty());
    std::vector<Bytes> payloads;
    for (const auto& [sequence, packet] : viewer.slots[0].stream->packets) payloads.push_back(packet.payload);
    return payloads;
  }

  TestCall call;
  Member& publisher;
  size_t fragment_size = 3;

 private:
  int64_t next_ = 1'000;
  uint32_t timestamp_ = 90'000;
};

TEST(ParameterSetsOnce, ALaterViewerReceivesThemBeforeTheKeyframe) {
  SetsOnce once(1);
  Member& early = once.Viewer();
  Member& late = once.Viewer();
  once.Connect();
  once.Watch(early);
  once.Frame(kSets);
  once.Frames(20);
  once.Watch(late);
  EXPECT_TRUE(once.publisher.video->keyframe_wanted);
  once.Frames(5);
  const std::vector<Bytes> seen = once.Seen(late);
  ASSERT_EQ(seen.size(), 1 + 5 * 3u);
  EXPECT_EQ(seen[0], kSets);
  EXPECT_EQ(seen[1], (Bytes{0x7C, 0x85, 1}));
  const auto& packets = late.slots[0].stream->packets;
  EXPECT_EQ(packets.begin()->second.timestamp, std::next(packets.begin())->second.timestamp);
  EXPECT_FALSE(packets.begin()->second.marker);
  const std::vector<Bytes> of_early = once.Seen(early);
  EXPECT_EQ(of_early.size(), 2 + 26 * 3u);
  EXPECT_EQ(std::ranges::count(of_early, kSets), 2)
      << "with each keyframe, for receivers that have lost the first";
}

// The cached keyframe is sent with the parameter sets that it needs.
TEST(ParameterSetsOnce, AReplayedKeyframeHasThemToo) {
  SetsOnce once(2);
  Member& late = once.Viewer();
  once.Connect();
  once.Frame(kSets);
  once.Frames(30);
  once.publisher.video->keyframe_wanted = true;
  once.Frames(3);
  once.Watch(late);
  EXPECT_FALSE(once.publisher.video->keyframe_wanted);
  once.Frames(2);
  const std::vector<Bytes> seen = once.Seen(late);
  ASSERT_EQ(seen.size(), 1 + 5 * 3u);
  EXPECT_EQ(seen[0], kSets);
}

TEST(ParameterSetsOnce, TheNewestAreSent) {
  SetsOnce once(3);
  Member& late = once.Viewer();
  once.Connect();
  once.Frame(kSets);
  once.Frames(3);
  once.publisher.video->keyframe_wanted = true;
  once.Frame(kOtherSets);
  once.Frames(15);
  once.Watch(late);
  once.Frames(2);
  ASSERT_FALSE(once.Seen(late).empty());
  EXPECT_EQ(once.Seen(late)[0], kOtherSets);
}

// When a keyframe's own parameter sets are lost or late, old ones are not sent in their place.
TEST(ParameterSetsOnce, AMissingPacketBeforeTheIdrMayContainNewOnes) {
  SetsOnce once(4);
  Member& late = once.Viewer();
  once.Connect();
  once.Frame(kSets);
  once.Frames(20);
  once.Watch(late);
  once.call.network().SetDown(once.publisher.peer->address(), true);
  once.Packet(kOtherSets, false);
  once.call.RunFor(milliseconds(1));
  once.call.network().SetDown(once.publisher.peer->address(), false);
  once.Frame();
  EXPECT_TRUE(late.slots[0].stream->packets.empty());
}

TEST(ParameterSetsOnce, ALostOneIsRetransmittedOnRequest) {
  size_t sets_again = 0;
  for (uint64_t seed = 10; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    SetsOnce once(seed);
    Member& late = once.Viewer();
    once.Connect();
    once.Frame(kSets);
    once.Frames(20);
    LinkConditions lossy;
    lossy.loss = 0.15;
    lossy.jitter = milliseconds(5);
    once.call.network().SetConditionsTo(late.peer->address(), lossy);
    once.Watch(late);
    for (int i = 0; i < 10; ++i) {
      once.Frames(10);
      once.publisher.video->keyframe_wanted = true;
    }
    once.call.RunFor(seconds(2));
    // The packets in front of the first one that arrived are not requested again.
    const std::vector<Bytes> seen = once.Seen(late);
    size_t keyframes = 0;
    for (size_t i = 1; i < seen.size(); ++i) {
      if (seen[i] != Bytes{0x7C, 0x85, 1}) continue;
      ++keyframes;
      EXPECT_EQ(seen[i - 1], kSets);
    }
    EXPECT_GE(keyframes, 9u);
    for (const auto& [sequence, packet] : late.slots[0].stream->packets) {
      sets_again += packet.repaired && packet.payload == kSets ? 1 : 0;
    }
  }
  EXPECT_GT(sets_again, 3u);
}

// The source sent them before the track was relayed.
TEST(ParameterSetsOnce, AViewerOnAnotherShardReceivesThem) {
  SetsOnce once(6, 2);
  Member& late = once.Viewer(1);
  once.Connect();
  once.Frame(kSets);
  once.Frames(20);
  once.Watch(late);
  once.Frames(5);
  once.publisher.video->keyframe_wanted = true;
  once.Frames(5);
  const std::vector<Bytes> seen = once.Seen(late);
  ASSERT_GT(seen.size(), 1 + 5 * 3u);
  EXPECT_EQ(seen[0], kSets);
  EXPECT_EQ(seen[1], (Bytes{0x7C, 0x85, 1}));
  EXPECT_EQ(std::ranges::count(seen, kSets), std::ranges::count(seen, Bytes{0x7C, 0x85, 1}));
}

// In the pacer's queue they wait before their keyframe.
TEST(ParameterSetsOnce, AViewerOnANarrowPathReceivesThem) {
  SetsOnce once(7);
  once.fragment_size = 900;
  Member& late = once.Viewer();
  once.Connect();
  once.call.network().Narrow({late.peer->address()}, 1'500'000, 60'000, once.call.now());
  once.Frame(kSets);
  once.Frames(20);
  once.Watch(late);
  for (int i = 0; i < 20; ++i) {
    once.Frames(9);
    // A keyframe directly after a frame that is so large that it still waits.
    for (int fragment = 0; fragment < 20; ++fragment) {
      Bytes payload = {0x7C, static_cast<uint8_t>(fragment == 0 ? 0x81 : fragment == 19 ? 0x41 : 0x01)};
      payload.resize(900, 0x33);
      once.Packet(payload, fragment == 19);
    }
    once.publisher.video->keyframe_wanted = true;
    once.Frame();
  }
  once.call.RunFor(seconds(3));
  size_t keyframes = 0;
  const Bytes* before = nullptr;
  for (const auto& [sequence, packet] : late.slots[0].stream->packets) {
    if (packet.payload.size() == 900 && packet.payload[1] == 0x85) {
      ++keyframes;
      ASSERT_NE(before, nullptr);
      EXPECT_EQ(*before, kSets);
    }
    before = &packet.payload;
    if (packet.payload == kSets) {
      EXPECT_FALSE(packet.repaired) << "it was sent, not retransmitted";
    }
  }
  EXPECT_GT(keyframes, 5u);
}

TEST(ParameterSetsOnce, ARecordingBeginsWithThem) {
  SetsOnce once(5);
  once.Connect();
  once.Frame(kSets);
  once.Frames(20);
  once.call.Command(AddTap{kTap, once.publisher.video_track, {}});
  once.call.RunFor(milliseconds(30));
  once.Frames(10);
  once.call.RunFor(seconds(1));
  const TapReading& reading = once.call.taps[kTap];
  const std::vector<TapRecord> packets = reading.Of(TapRecord::kPacket);
  ASSERT_GE(packets.size(), 1 + 9 * 3u);
  EXPECT_EQ(packets[0].payload, kSets);
  EXPECT_EQ(packets[1].payload, (Bytes{0x7C, 0x85, 1}));
  EXPECT_EQ(reading.Faults(true), "");
}

}  // namespace
}  // namespace nexus::testing
