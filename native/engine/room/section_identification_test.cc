// Packets whose section only their payload type identifies: SDP does not list their SSRC and they have no MID
// (RFC 9143 section 9.2).
#include <gtest/gtest.h>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SectionIdentification : public ::testing::Test {
 protected:
  SectionIdentification() : call_(EmulatedOptions(23)), publisher_(call_.Join()), viewer_(call_.Join()) {
    call_.AddSlot(viewer_, MediaKind::kAudio);
    call_.AddSlot(viewer_, MediaKind::kVideo);
  }
  // Neither signaling nor the packets say which section they belong to; only the payload type can tell.
  PublishedStream& PublishUnnamed(MediaKind kind) {
    return call_.Publish(publisher_, kind,
                         {.announce_ssrc = false, .with_mid = false, .announce_payload_types = true});
  }
  void Show(TrackId track) { call_.Command(BindSlot{viewer_.slots[1].id, track}); }
  void Start() {
    call_.StartMedia(publisher_);
    call_.StartMedia(viewer_);
    ASSERT_TRUE(call_.RunUntilConnected());
  }
  ReceivedStream& audio() { return *viewer_.slots[0].stream; }
  ReceivedStream& video() { return *viewer_.slots[1].stream; }
  uint64_t Drops(DropReason reason) { return call_.shard().drops()[reason]; }

  TestCall call_;
  Member& publisher_;
  Member& viewer_;
};

TEST_F(SectionIdentification, APayloadTypeOfOneSectionIdentifiesIt) {
  PublishUnnamed(MediaKind::kVideo);
  PublishUnnamed(MediaKind::kAudio);
  Show(publisher_.video_track);
  call_.network().conditions = {.loss = 0.05, .delay = milliseconds(15)};
  Start();
  call_.RunFor(seconds(10));
  call_.network().conditions = {};
  call_.RunFor(seconds(1));
  EXPECT_GT(video().packets.size(), 700u);
  EXPECT_GT(audio().packets.size(), 400u);
  EXPECT_EQ(video().Faults(call_.csrcs()), "");
  EXPECT_TRUE(video().Missing().empty()) << "retransmissions are identified by theirs";
  EXPECT_GT(publisher_.video->nacked, 10u);
  EXPECT_EQ(Drops(DropReason::kUnknownSsrc), 0u);
}

TEST_F(SectionIdentification, APayloadTypeOfTwoSectionsIdentifiesNeither) {
  PublishedStream& first = PublishUnnamed(MediaKind::kVideo);
  const TrackId track = publisher_.video_track;
  PublishUnnamed(MediaKind::kVideo);
  Show(track);
  ASSERT_TRUE(call_.RunUntilConnected());
  for (int i = 0; i < 25; ++i) {
    publisher_.peer->SendVideoFrame(first, call_.now());
    call_.RunFor(milliseconds(40));
  }
  EXPECT_EQ(Drops(DropReason::kUnknownSsrc), 75u);
  EXPECT_TRUE(video().packets.empty());
  // After the other track is removed it identifies this one.
  call_.Command(RemoveTrack{publisher_.video_track});
  for (int i = 0; i < 25; ++i) {
    publisher_.peer->SendVideoFrame(first, call_.now());
    call_.RunFor(milliseconds(40));
  }
  EXPECT_EQ(Drops(DropReason::kUnknownSsrc), 75u);
}

TEST_F(SectionIdentification, AnUnknownMidIsNotOverruled) {
  PublishUnnamed(MediaKind::kVideo);
  PublishedStreamOptions stranger;
  stranger.kind = MediaKind::kVideo;
  stranger.ssrc = Ssrc{0xABCD};
  stranger.mid = "nobody";
  PublishedStream& stream = publisher_.peer->Publish(stranger);
  ASSERT_TRUE(call_.RunUntilConnected());
  publisher_.peer->SendVideoFrame(stream, call_.now());
  call_.RunFor(milliseconds(200));
  EXPECT_EQ(Drops(DropReason::kUnknownSsrc), 3u);
}

TEST_F(SectionIdentification, ANewSsrcIsAcceptedWhenTheOldOneIsSilent) {
  PublishedStream& first = PublishUnnamed(MediaKind::kVideo);
  Show(publisher_.video_track);
  PublishedStreamOptions restarted = first.options;
  restarted.ssrc = Ssrc{0xBEEF};
  restarted.rtx_ssrc = Ssrc{0xBEF0};
  PublishedStream& second = publisher_.peer->Publish(restarted);
  ASSERT_TRUE(call_.RunUntilConnected());
  const auto send = [&](PublishedStream& stream, int frames) {
    for (int i = 0; i < frames; ++i) {
      publisher_.peer->SendVideoFrame(stream, call_.now());
      call_.RunFor(milliseconds(40));
    }
  };
  send(first, 25);
  const size_t before = video().packets.size();
  EXPECT_EQ(before, 75u);
  send(second, 25);
  EXPECT_EQ(Drops(DropReason::kSsrcTableFull), 75u) << "the first was active a moment ago";
  call_.RunFor(seconds(2));
  second.keyframe_wanted = true;
  send(second, 25);
  EXPECT_EQ(video().packets.size(), before + 75);
  EXPECT_EQ(video().Faults(call_.csrcs()), "");
}

TEST_F(SectionIdentification, EncodingsOfOneTrackAreNotGuessed) {
  call_.PublishSimulcast(publisher_, {{1, 200}, {2, 400}});
  PublishedStreamOptions stranger;
  stranger.kind = MediaKind::kVideo;
  stranger.ssrc = Ssrc{0xABCD};
  stranger.with_mid = false;
  PublishedStream& stream = publisher_.peer->Publish(stranger);
  ASSERT_TRUE(call_.RunUntilConnected());
  publisher_.peer->SendVideoFrame(stream, call_.now());
  call_.RunFor(milliseconds(200));
  EXPECT_EQ(Drops(DropReason::kUnknownSsrc), 3u);
}

}  // namespace
}  // namespace nexus::testing
