// Taps through the shard in emulated time: what a recorder receives of a call over bad networks, through
// mutes, silences and restarts, and when it reads slowly. The rows "Recording" of the design's list of faults
// that other media servers had.
#include <gtest/gtest.h>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TapId kVideoTap{501};
constexpr TapId kAudioTap{502};

// A recorded publisher without subscribers.
struct Recorded {
  explicit Recorded(uint64_t seed = 1, TapSettings given = {})
      : call(EmulatedOptions(seed)), settings(given) {
    publisher = &call.Join();
    call.Publish(*publisher, MediaKind::kVideo);
    call.Publish(*publisher, MediaKind::kAudio);
  }
  void Start() {
    call.StartMedia(*publisher);
    ASSERT_TRUE(call.RunUntilConnected());
    Tap();
  }
  void Tap() {
    call.Command(AddTap{kVideoTap, publisher->video_track, settings});
    call.Command(AddTap{kAudioTap, publisher->audio_track, settings});
  }
  TapReading& video() { return call.taps[kVideoTap]; }
  TapReading& audio() { return call.taps[kAudioTap]; }

  TestCall call;
  TapSettings settings;
  Member* publisher = nullptr;
};

// Expects the payloads that the publisher has sent.
void ExpectWhole(const TapReading& reading, const PublishedStream& stream) {
  size_t compared = 0;
  for (const TapRecord& record : reading.Of(TapRecord::kPacket)) {
    const auto sent = stream.history.find(static_cast<uint16_t>(record.sequence()));
    ASSERT_NE(sent, stream.history.end());
    EXPECT_EQ(record.payload, sent->second.payload) << record.sequence();
    ++compared;
  }
  EXPECT_GT(compared, 0u);
}

TEST(Tap, DeliversWholePacketsInOrder) {
  Recorded recorded;
  recorded.Start();
  recorded.call.RunFor(seconds(5));
  EXPECT_EQ(recorded.video().Faults(true), "");
  EXPECT_EQ(recorded.audio().Faults(false), "");
  ExpectWhole(recorded.video(), *recorded.publisher->video);
  EXPECT_GT(recorded.video().Of(TapRecord::kPacket).size(), 350u);
  EXPECT_GT(recorded.audio().Of(TapRecord::kPacket).size(), 240u);
  // 50 ms a batch: far fewer crossings than packets.
  EXPECT_LT(recorded.video().batches, 110u);
  const auto sources = recorded.video().Of(TapRecord::kSource);
  ASSERT_EQ(sources.size(), 1u);
  EXPECT_EQ(sources[0].number(1), 2u) << "CODEC_VP8";
  EXPECT_EQ(sources[0].number(3), 90'000u);
  EXPECT_EQ(sources[0].number(4), recorded.publisher->video->options.ssrc.value);
  const auto packet = recorded.audio().Of(TapRecord::kPacket).back();
  EXPECT_EQ(packet.number(5), 20u) << "audio level";
  EXPECT_EQ(packet.number(8), 1u) << "synchronised";
  EXPECT_GE(recorded.audio().Of(TapRecord::kSenderReport).size(), 3u);
}

class LossyTap : public ::testing::TestWithParam<uint64_t> {};

TEST_P(LossyTap, HasNoGapWhenThePublisherAnswers) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  Recorded recorded(GetParam());
  recorded.Start();
  recorded.publisher->video->sequence = 65'000;  // over the wrap
  recorded.call.RunFor(seconds(1));
  recorded.call.network().conditions = {
      .loss = 0.1, .duplication = 0.02, .delay = milliseconds(40), .jitter = milliseconds(30)};
  recorded.call.RunFor(seconds(20));
  recorded.call.network().conditions = {};
  recorded.call.RunFor(seconds(2));
  EXPECT_GT(recorded.call.network().lost(), 200u);
  EXPECT_EQ(recorded.video().Faults(true), "");
  for (const TapRecord& gap : recorded.video().Of(TapRecord::kGap)) EXPECT_NE(gap.number(1), 1u);
  ExpectWhole(recorded.video(), *recorded.publisher->video);
  EXPECT_GT(recorded.video().Of(TapRecord::kPacket).size(), 1'500u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LossyTap, ::testing::Values(1, 2, 3, 4, 5, 6));

// "Picture frozen only in the recording after one lost keyframe" (bigbluebutton #14202).
TEST(Tap, ReportsLostPacketsAndRequestsAKeyframe) {
  Recorded recorded;
  recorded.Start();
  recorded.call.RunFor(seconds(2));
  const uint64_t keyframes = recorded.publisher->video->keyframes;
  // A keyframe is lost and not retransmitted.
  recorded.publisher->video->keyframe_wanted = true;
  recorded.call.network().SetDown(recorded.publisher->peer->address(), true);
  recorded.call.RunFor(milliseconds(80));
  recorded.publisher->video->history.clear();
  recorded.call.network().SetDown(recorded.publisher->peer->address(), false);
  recorded.call.RunFor(seconds(4));
  EXPECT_EQ(recorded.video().Faults(true), "");
  const auto gaps = recorded.video().Of(TapRecord::kGap);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].number(1), 1u) << "lost";
  EXPECT_EQ(gaps[0].integer(3) - gaps[0].integer(2) + 1, 6) << "two frames of three packets";
  EXPECT_GE(recorded.publisher->video->keyframes, keyframes + 2) << "requested after the gap";
  const auto& records = recorded.video().records;
  bool behind = false;
  bool keyframe = false;
  for (const TapRecord& record : records) {
    behind = behind || record.kind == TapRecord::kGap;
    keyframe = keyframe || (behind && record.kind == TapRecord::kPacket && record.keyframe());
  }
  EXPECT_TRUE(keyframe);
}

// The publisher can retransmit only after a second: too late for the call, but not for the recording.
TEST(Tap, WaitsLongerForRepairThanTheCall) {
  for (const bool tapped : {true, false}) {
    SCOPED_TRACE(tapped ? "with a tap" : "without");
    TestCall call(EmulatedOptions());
    Member& publisher = call.Join();
    call.Publish(publisher, MediaKind::kVideo);
    call.StartMedia(publisher);
    ASSERT_TRUE(call.RunUntilConnected());
    if (tapped) call.Command(AddTap{kVideoTap, publisher.video_track, {}});
    call.RunFor(seconds(1));
    call.network().SetDown(publisher.peer->address(), true);
    call.RunFor(milliseconds(40));
    call.network().SetDown(publisher.peer->address(), false);
    const auto kept = std::exchange(publisher.video->history, {});
    call.RunFor(milliseconds(1'000));
    publisher.video->history.insert(kept.begin(), kept.end());
    const uint64_t nacked = publisher.video->nacked;
    call.RunFor(seconds(2));
    EXPECT_EQ(publisher.video->nacked > nacked, tapped);
    if (!tapped) continue;
    EXPECT_EQ(call.taps[kVideoTap].Faults(true), "");
    EXPECT_TRUE(call.taps[kVideoTap].Of(TapRecord::kGap).empty());
  }
}

TEST(Tap, ASlowReaderHasABoundedBufferAndReceivesAGap) {
  TapSettings settings;
  settings.backlog_bytes = 64 << 10;
  Recorded recorded(1, settings);
  recorded.Start();
  recorded.call.RunFor(seconds(1));
  recorded.call.read_taps = false;
  recorded.call.RunFor(seconds(30));
  recorded.call.read_taps = true;
  recorded.call.Command(RefreshTap{kVideoTap});  // as the edge does when it forwards the gap
  recorded.call.RunFor(seconds(2));
  EXPECT_EQ(recorded.video().Faults(true), "");
  const auto gaps = recorded.video().Of(TapRecord::kGap);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].number(1), 4u) << "slow reader";
  EXPECT_GT(gaps[0].number(4), 1'000u);
  EXPECT_FALSE(recorded.publisher->video->plis.empty());
  EXPECT_TRUE(recorded.video().Of(TapRecord::kPacket).back().number(7) > 0);
}

TEST(Tap, AMuteIsARecordAndVideoResumesWithAKeyframe) {
  Recorded recorded;
  recorded.Start();
  recorded.call.RunFor(seconds(1));
  for (const bool muted : {true, false}) {
    recorded.call.Command(MuteTrack{recorded.publisher->video_track, muted});
    recorded.call.Command(MuteTrack{recorded.publisher->audio_track, muted});
    recorded.call.RunFor(seconds(2));
  }
  for (TapReading* reading : {&recorded.video(), &recorded.audio()}) {
    const bool video = reading == &recorded.video();
    EXPECT_EQ(reading->Faults(video), "");
    EXPECT_TRUE(reading->Of(TapRecord::kGap).empty());
    const auto mutes = reading->Of(TapRecord::kMuted);
    ASSERT_EQ(mutes.size(), 2u);
    EXPECT_EQ(mutes[0].number(1), 1u);
    EXPECT_EQ(mutes[1].number(1), 0u);
    EXPECT_NEAR(static_cast<double>(mutes[1].integer(2) - mutes[0].integer(2)), 2e6, 1e3);
    EXPECT_NE(reading->records.back().kind, TapRecord::kMuted) << "media continues";
  }
}

// "Silence under DTX makes the file shorter than the call" (livekit egress #142): the times contain the
// silence.
TEST(Tap, SilenceUnderDtxIsNoGapAndKeepsItsDuration) {
  Recorded recorded;
  ASSERT_TRUE(recorded.call.RunUntilConnected());
  recorded.Tap();
  for (int i = 0; i < 100; ++i) {
    if (i == 50) recorded.call.RunFor(seconds(5));
    recorded.publisher->peer->SendAudio(*recorded.publisher->audio, recorded.call.now(), 30);
    recorded.call.RunFor(milliseconds(20));
  }
  recorded.call.RunFor(seconds(1));
  EXPECT_EQ(recorded.audio().Faults(false), "");
  EXPECT_TRUE(recorded.audio().Of(TapRecord::kGap).empty());
  const auto packets = recorded.audio().Of(TapRecord::kPacket);
  ASSERT_EQ(packets.size(), 100u);
  EXPECT_EQ(packets[50].timestamp() - packets[49].timestamp(), 48'000 * 5 + 960);
  EXPECT_EQ(packets[50].media_time_us() - packets[49].media_time_us(), 5'020'000);
}

// "RTP time that stands still across a phone call" (janus PR #2573): the media time advances.
TEST(Tap, MediaTimeAdvancesWhenRtpTimeStandsStill) {
  Recorded recorded;
  recorded.Start();
  recorded.call.RunFor(seconds(5));
  const size_t before = recorded.audio().Of(TapRecord::kPacket).size();
  recorded.call.network().SetDown(recorded.publisher->peer->address(), true);
  recorded.call.RunFor(seconds(20));
  recorded.publisher->audio->timestamp_offset -= 20 * 48'000;
  recorded.publisher->video->timestamp_offset -= 20 * 90'000;
  // Its sequence numbers stood still too.
  recorded.publisher->audio->sequence -= 20 * 50;
  recorded.publisher->video->sequence -= 20 * 75;
  recorded.call.network().SetDown(recorded.publisher->peer->address(), false);
  recorded.call.RunFor(seconds(10));
  const auto packets = recorded.audio().Of(TapRecord::kPacket);
  ASSERT_GT(packets.size(), before + 300);
  EXPECT_LT(packets.back().timestamp() - packets[before - 1].timestamp(), 12 * 48'000);
  const double elapsed =
      static_cast<double>(packets.back().media_time_us() - packets[before - 1].media_time_us());
  EXPECT_NEAR(elapsed / 1e6, 30, 0.3);
}

// A publisher that restarts its encoder resumes with another SSRC, as in "unmute as new track kills the
// recorder" (mediasoup3-record-demo #64).
TEST(Tap, AnotherSsrcIsAnotherSourceOfTheSameStream) {
  TestCall call(EmulatedOptions());
  Member& publisher = call.Join();
  call.Publish(publisher, MediaKind::kVideo, {.announce_ssrc = false});
  call.StartMedia(publisher);
  ASSERT_TRUE(call.RunUntilConnected());
  call.Command(AddTap{kVideoTap, publisher.video_track, {}});
  call.RunFor(seconds(2));
  call.network().SetDown(publisher.peer->address(), true);
  call.RunFor(seconds(3));
  publisher.video->options.ssrc = Ssrc{0xABCDEF};
  publisher.video->sequence = 10;
  call.network().SetDown(publisher.peer->address(), false);
  call.RunFor(seconds(2));
  EXPECT_EQ(call.taps[kVideoTap].Faults(true), "");
  const auto sources = call.taps[kVideoTap].Of(TapRecord::kSource);
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[1].number(4), 0xABCDEFu);
  EXPECT_GT(call.taps[kVideoTap].Of(TapRecord::kPacket).back().sequence(), 65'536 + 100) << "media continues";
}

TEST(Tap, EndsWithItsTrackAndNothingIsLeft) {
  Recorded recorded;
  recorded.Start();
  recorded.call.RunFor(seconds(1));
  recorded.call.Command(RemoveTrack{recorded.publisher->video_track});
  recorded.call.RunFor(milliseconds(1));
  EXPECT_TRUE(recorded.video().ended);
  EXPECT_FALSE(recorded.audio().ended);
  EXPECT_EQ(recorded.call.shard().counts().taps, 1u);
  recorded.call.Command(CloseRoom{recorded.call.room()});
  recorded.call.RunFor(milliseconds(1));
  EXPECT_TRUE(recorded.audio().ended);
  EXPECT_EQ(recorded.call.shard().counts(), Shard::Counts{});
}

TEST(Tap, OfARemovedTrackEndsAtOnce) {
  Recorded recorded;
  recorded.call.Command(AddTap{kVideoTap, TrackId{999}, {}});
  recorded.call.RunFor(milliseconds(1));
  EXPECT_TRUE(recorded.video().ended);
  EXPECT_EQ(recorded.call.EventsOf<CommandRejected>().size(), 1u);
}

TEST(Tap, RemovedByItsReaderDeliversNothingMore) {
  Recorded recorded;
  recorded.Start();
  recorded.call.RunFor(seconds(1));
  recorded.call.Command(RemoveTap{kVideoTap});
  const size_t records = recorded.video().records.size();
  recorded.call.RunFor(seconds(1));
  EXPECT_EQ(recorded.video().records.size(), records);
  EXPECT_FALSE(recorded.video().ended);
  EXPECT_EQ(recorded.call.shard().counts().taps, 1u);
}

// The first record of a tap on a muted track is the mute.
TEST(Tap, BeginsWithTheMuteOfAMutedTrack) {
  Recorded recorded;
  recorded.call.Command(MuteTrack{recorded.publisher->audio_track, true});
  recorded.Start();
  recorded.call.RunFor(seconds(1));
  ASSERT_FALSE(recorded.audio().records.empty());
  EXPECT_EQ(recorded.audio().records.front().kind, TapRecord::kMuted);
  EXPECT_EQ(recorded.audio().records.front().number(1), 1u);
}

}  // namespace
}  // namespace nexus::testing
