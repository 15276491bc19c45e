// Sources whose RTP timestamps leave the line of their sender reports: they stand still during a pause, go
// back or jump ahead. Subscribers receive one step that follows the arrival times, and none after it; in
// emulated time.
#include <gtest/gtest.h>

#include <cstdlib>
#include <ostream>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Change {
  const char* name;
  Duration pause{0};  // no packets, while reports continue
  Duration jump{0};   // of the source's RTP time; minus the pause: it stood still
  friend void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }
};

constexpr Change kChanges[] = {
    {"StandsStillDuringAPause", seconds(8), -seconds(8)},
    {"GoesBack", {}, -seconds(3)},
    {"GoesBackFar", {}, -seconds(10)},
    {"JumpsAhead", {}, seconds(10)},
    {"GoesBackSlightly", {}, -milliseconds(1'500)},
    {"JumpsFar", {}, seconds(9'999)},
    {"ContinuesThroughAPause", seconds(8), {}},
};

// Camera and microphone of one participant, either of which may change, and one pair of slots.
class SourceTime : public ::testing::TestWithParam<std::tuple<Change, int, uint64_t>> {
 public:
  void SetUp() override {
    call_.emplace(EmulatedOptions(std::get<2>(GetParam())));
    call_->network().conditions = {.delay = milliseconds(20), .jitter = milliseconds(8)};
    publisher_ = &call_->Join({.ntp_offset = seconds(4711)});
    subscriber_ = &call_->Join();
    call_->Publish(*publisher_, MediaKind::kVideo);
    call_->Publish(*publisher_, MediaKind::kAudio);
    publisher_->video->timestamp_offset = 0x81234567u;
    call_->AddSlot(*subscriber_, MediaKind::kAudio);
    call_->AddSlot(*subscriber_, MediaKind::kVideo);
    call_->Command(BindSlot{subscriber_->slots[1].id, publisher_->video_track});
    Every(milliseconds(40), MediaKind::kVideo,
          [this] { publisher_->peer->SendVideoFrame(*publisher_->video, call_->now()); });
    Every(milliseconds(20), MediaKind::kAudio,
          [this] { publisher_->peer->SendAudio(*publisher_->audio, call_->now(), 20); });
    call_->Every(seconds(1), [this] {
      if (!publisher_->peer->connected()) return;
      for (const PublishedStream* stream : {publisher_->video, publisher_->audio})
        if (stream->packets > 0) publisher_->peer->SendSenderReport(*stream, call_->now());
    });
    ASSERT_TRUE(call_->RunUntilConnected());
  }

 protected:
  static bool Changes(MediaKind kind) {
    return (std::get<1>(GetParam()) & (kind == MediaKind::kVideo ? 1 : 2)) != 0;
  }
  void Every(Duration interval, MediaKind kind, std::function<void()> send) {
    call_->Every(interval, [this, kind, send] {
      if (publisher_->peer->connected() && !(paused_ && Changes(kind))) send();
    });
  }
  void Apply(const Change& change) {
    paused_ = change.pause.count() > 0;
    call_->RunFor(change.pause);
    paused_ = false;
    for (PublishedStream* stream : {publisher_->video, publisher_->audio}) {
      if (!Changes(stream->options.kind)) continue;
      const int64_t rate = stream->options.kind == MediaKind::kVideo ? 90'000 : 48'000;
      stream->timestamp_offset += static_cast<uint32_t>(change.jump.count() * rate / 1'000'000);
    }
  }
  ReceivedStream& Stream(MediaKind kind) {
    return *subscriber_->slots[kind == MediaKind::kVideo ? 1 : 0].stream;
  }
  // The difference between a frame's first packet and that of the frame before.
  struct FrameStep {
    int64_t time_us;     // by the slot's RTP time
    int64_t sampled_us;  // by the time that really passed
    Timestamp arrival;
  };
  std::vector<FrameStep> StepsAfter(MediaKind kind, Timestamp from) {
    const int64_t rate = kind == MediaKind::kVideo ? 90'000 : 48'000;
    std::vector<FrameStep> steps;
    const ReceivedPacket* before = nullptr;
    for (const auto& [sequence, packet] : Stream(kind).packets) {
      if (before != nullptr && packet.mark->frame == before->mark->frame) {
        EXPECT_EQ(packet.timestamp, before->timestamp) << "a frame has one timestamp";
        continue;
      }
      if (before != nullptr && packet.arrival >= from) {
        const int64_t ticks = static_cast<int32_t>(packet.timestamp - before->timestamp);
        steps.push_back(
            {ticks * 1'000'000 / rate, packet.mark->sampled_us - before->mark->sampled_us, packet.arrival});
      }
      before = &packet;
    }
    return steps;
  }
  // How much later video is presented than audio of the same moment, by the newest packet of each.
  int64_t VideoBehindAudioUs() {
    const auto shown_late = [this](MediaKind kind) {
      const ReceivedPacket& packet = Stream(kind).packets.rbegin()->second;
      return Stream(kind).PresentationUs(packet).value() - packet.mark->sampled_us;
    };
    return shown_late(MediaKind::kVideo) - shown_late(MediaKind::kAudio);
  }

  std::optional<TestCall> call_;
  Member* publisher_ = nullptr;
  Member* subscriber_ = nullptr;
  bool paused_ = false;
};

TEST_P(SourceTime, TheSlotsTimeFollowsTheArrivalOnceAndDoesNotJumpAfterwards) {
  const Change& change = std::get<0>(GetParam());
  call_->RunFor(seconds(6));
  for (int round = 0; round < 2; ++round) {
    const Timestamp changed = call_->now();
    Apply(change);
    const Timestamp resumed = call_->now();
    call_->RunFor(milliseconds(300));
    EXPECT_LT(std::abs(VideoBehindAudioUs()), 40'000) << "by arrival alone";
    call_->RunFor(seconds(15));
    EXPECT_LT(std::abs(VideoBehindAudioUs()), 15'000) << "by the reports again";
    for (const MediaKind kind : {MediaKind::kVideo, MediaKind::kAudio}) {
      SCOPED_TRACE(kind == MediaKind::kVideo ? "video" : "audio");
      const std::vector<FrameStep> steps = StepsAfter(kind, changed);
      ASSERT_GT(steps.size(), 300u);
      for (const FrameStep& step : steps) {
        EXPECT_GT(step.time_us, 0);
        EXPECT_NEAR(static_cast<double>(step.time_us), static_cast<double>(step.sampled_us), 35'000)
            << (step.arrival - resumed).count() << " us after the change";
      }
    }
  }
  EXPECT_EQ(Stream(MediaKind::kVideo).Faults(call_->csrcs()), "");
  EXPECT_EQ(Stream(MediaKind::kAudio).Faults(call_->csrcs()), "");
}

// Media times as recorders and transcribers receive them (StreamPacket.media_time_us).
TEST_P(SourceTime, MediaTimesOfATapAreThoseOfSampling) {
  call_->Command(AddTap{TapId{1}, publisher_->video_track, {}});
  call_->Command(AddTap{TapId{2}, publisher_->audio_track, {}});
  call_->RunFor(seconds(6));
  Apply(std::get<0>(GetParam()));
  call_->RunFor(seconds(15));
  for (const TapId tap : {TapId{1}, TapId{2}}) {
    std::optional<int64_t> offset;
    const auto packets = call_->taps[tap].Of(TapRecord::kPacket);
    ASSERT_GT(packets.size(), 300u);
    for (const TapRecord& packet : packets) {
      const ByteView payload(packet.payload);
      const size_t header = tap == TapId{2} ? 1 : (payload[0] & 0x10) != 0 ? 14 : 5;
      const auto mark = PayloadMark::Read(payload.subspan(header));
      ASSERT_TRUE(mark);
      const int64_t distance = packet.media_time_us() - mark->sampled_us;
      if (!offset) offset = distance;
      EXPECT_NEAR(static_cast<double>(distance), static_cast<double>(*offset), 45'000);
    }
    EXPECT_EQ(packets.back().number(8), 1u) << "synchronised again";
  }
}

std::string NameOf(const ::testing::TestParamInfo<std::tuple<Change, int, uint64_t>>& info) {
  const auto& [change, which, seed] = info.param;
  const char* const tracks[] = {"", "OfVideo", "OfAudio", "OfBoth"};
  return std::string(change.name) + tracks[which] + std::to_string(seed);
}

INSTANTIATE_TEST_SUITE_P(Changes, SourceTime,
                         ::testing::Combine(::testing::ValuesIn(kChanges), ::testing::Values(1, 2, 3),
                                            ::testing::Values(1, 2)),
                         NameOf);

}  // namespace
}  // namespace nexus::testing
