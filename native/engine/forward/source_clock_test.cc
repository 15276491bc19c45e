// Lip sync: two sources of one participant stay synchronised through the slots, whatever their clocks, before
// and after a rebind, and if the first sender report is late.
#include "engine/forward/source_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "engine/base/unwrap.h"
#include "engine/forward/slot_forwarder.h"
#include "testing/random.h"

namespace nexus {
namespace {

TEST(RtpNtpClock, FollowsReportsFromAnyStart) {
  testing::Random random(1);
  for (int round = 0; round < 200; ++round) {
    RtpNtpClock clock(90'000);
    EXPECT_FALSE(clock.NtpMicros(0));
    const auto start = static_cast<int64_t>(random.Next() >> 20);
    const int64_t ntp = random.Between(0, int64_t{1} << 51);
    for (int second = 0; second < 20; ++second) {
      // a drift of 100 parts per million and a millisecond of jitter
      const int64_t us = ntp + second * 1'000'100 + random.Between(0, 1000);
      clock.OnSenderReport(NtpTime::FromMicros(us), start + second * 90'000);
      EXPECT_LE(std::abs(*clock.NtpMicros(start + second * 90'000) - (ntp + second * 1'000'100)), 2500);
    }
  }
}

TEST(RtpNtpClock, IgnoresOneWrongReportButFollowsTwo) {
  RtpNtpClock clock(48'000);
  clock.OnSenderReport(NtpTime::FromMicros(1'000'000), 48'000);
  clock.OnSenderReport(NtpTime::FromMicros(900'000'000), 96'000);
  EXPECT_EQ(clock.NtpMicros(96'000), 2'000'000);
  clock.OnSenderReport(NtpTime::FromMicros(3'000'000), 144'000);
  EXPECT_EQ(clock.NtpMicros(144'000), 3'000'000);
  clock.OnSenderReport(NtpTime::FromMicros(900'000'000), 192'000);
  clock.OnSenderReport(NtpTime::FromMicros(901'000'000), 240'000);
  EXPECT_EQ(clock.NtpMicros(240'000), 901'000'000);
}

TEST(WindowedMinimum, ForgetsOldMinima) {
  WindowedMinimum minimum(Duration(1000));
  EXPECT_FALSE(minimum.value());
  minimum.Add(5, TimestampFromMicros(0));
  minimum.Add(9, TimestampFromMicros(500));
  EXPECT_EQ(minimum.value(), 5);
  minimum.Add(9, TimestampFromMicros(1100));
  EXPECT_EQ(minimum.value(), 5);
  minimum.Add(8, TimestampFromMicros(2200));
  EXPECT_EQ(minimum.value(), 8);
}

// One participant: a microphone and a camera with arbitrary clocks, sent over a path with jitter.
class TwoTrackPublisher {
 public:
  TwoTrackPublisher(uint64_t seed, int64_t joined_us) : random_(seed), joined_us_(joined_us) {
    ntp_base_us_ = random_.Between(0, int64_t{1} << 51);
    for (Track* track : {&audio, &video}) {
      track->rtp_start = static_cast<uint32_t>(random_.Next());
      track->sequence = 70'000;
    }
    audio.rate = 48'000;
    audio.path_us = random_.Between(10'000, 40'000);
    audio.first_report_us = random_.Between(500'000, 5'000'000);
    video.rate = 90'000;
    // Encoding and pacing delay the video.
    video.path_us = audio.path_us + random_.Between(10'000, 90'000);
    video.first_report_us = random_.Between(300'000, 2'000'000);
  }

  struct Track {
    uint32_t rate = 0;
    uint32_t rtp_start = 0;
    int64_t path_us = 0;
    int64_t first_report_us = 0;
    int64_t last_report_us = -1;
    int64_t sequence = 0;
    Unwrapper<uint32_t> unwrapper;
    std::optional<SourceClock> clock;
    uint32_t RtpAt(int64_t since_join_us) const {
      return rtp_start + static_cast<uint32_t>(since_join_us * rate / 1'000'000);
    }
  };

  // The packet sampled at `capture_us`, as received by the SFU.
  SourcePacket Packet(Track& track, int64_t capture_us) {
    const int64_t since_join = capture_us - joined_us_;
    if (!track.clock) track.clock.emplace(track.rate);
    SourcePacket packet;
    packet.sequence_number = track.sequence++;
    packet.timestamp = track.unwrapper.Unwrap(track.RtpAt(since_join));
    packet.arrival = TimestampFromMicros(capture_us + track.path_us + random_.Between(0, 6'000));
    packet.media_time =
        track.clock->OnPacket(packet.sequence_number, packet.timestamp, packet.arrival, remote_);
    packet.marker = true;
    packet.frame.keyframe_start = true;
    packet.payload = payload_;
    if (since_join >= track.first_report_us && capture_us - track.last_report_us > 1'000'000) {
      track.last_report_us = capture_us;
      track.clock->OnSenderReport(NtpTime::FromMicros(ntp_base_us_ + since_join), track.RtpAt(since_join));
    }
    return packet;
  }

  Track audio;
  Track video;

 private:
  testing::Random random_;
  int64_t joined_us_;
  int64_t ntp_base_us_;
  RemoteClockOffset remote_;
  std::vector<uint8_t> payload_ = std::vector<uint8_t>(3, 1);
};

// When a receiver that uses sender reports plays media with this timestamp.
int64_t ShownAt(const SlotForwarder& slot, uint32_t timestamp, uint32_t rate, Timestamp now) {
  const auto behind = static_cast<int32_t>(slot.RtpTimestampAt(now) - timestamp);
  return now.time_since_epoch().count() - int64_t{behind} * 1'000'000 / rate;
}

class LipSync : public ::testing::TestWithParam<uint64_t> {};

TEST_P(LipSync, StaysWithinAFewMilliseconds) {
  testing::Random random(GetParam());
  SlotForwarder audio({false, 48'000, 3, static_cast<uint32_t>(random.Next()), TimestampFromMicros(500)});
  SlotForwarder video({true, 90'000, 4, static_cast<uint32_t>(random.Next()), TimestampFromMicros(77'000)});
  int64_t now_us = 1'000'000;
  std::optional<uint32_t> last_audio;
  std::optional<uint32_t> last_video;
  int64_t worst_us = 0;
  for (uint32_t binding = 1; binding <= 4; ++binding) {
    TwoTrackPublisher publisher(GetParam() * 100 + binding, now_us);
    audio.Bind({LayerId{binding * 2}, binding, Codec::kOpus});
    video.Bind({LayerId{binding * 2 + 1}, binding, Codec::kH264});
    const int64_t bound_us = now_us;
    int64_t audio_error = 0;
    for (; now_us < bound_us + 20'000'000; now_us += 20'000) {
      const SourcePacket sound = publisher.Packet(publisher.audio, now_us);
      const auto heard = audio.Forward(LayerId{binding * 2}, sound);
      ASSERT_TRUE(heard);
      if (last_audio) {
        ASSERT_GT(static_cast<int32_t>(heard->timestamp - *last_audio), 0);
      }
      last_audio = heard->timestamp;
      // Difference between playing and sampling; audio and video must have the same.
      audio_error = ShownAt(audio, heard->timestamp, 48'000, sound.arrival) - now_us;
      if ((now_us - bound_us) % 40'000 != 0) continue;
      const SourcePacket picture = publisher.Packet(publisher.video, now_us);
      const auto seen = video.Forward(LayerId{binding * 2 + 1}, picture);
      ASSERT_TRUE(seen);
      if (last_video) {
        ASSERT_GT(static_cast<int32_t>(seen->timestamp - *last_video), 0);
      }
      last_video = seen->timestamp;
      const int64_t error = ShownAt(video, seen->timestamp, 90'000, picture.arrival) - now_us - audio_error;
      // Both first reports arrive within five seconds, and one more second lets the video catch up.
      if (now_us - bound_us > 6'500'000) worst_us = std::max(worst_us, std::abs(error));
    }
  }
  // Each slot may be off its line by its tolerance of 8 ms before it is corrected.
  EXPECT_LT(worst_us, 10'000) << "flash and beep";
  EXPECT_GT(worst_us, 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LipSync, ::testing::Range<uint64_t>(0, 20));

// Without reports the intervals between packets are the source's own, whatever the jitter.
TEST(SourceClock, WithoutReportsJitterDoesNotReachTheTimes) {
  testing::Random random(5);
  SourceClock clock(90'000);
  RemoteClockOffset remote;
  std::optional<Timestamp> last;
  size_t moved = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    const Timestamp arrival = TimestampFromMicros(5'000'000 + i * 40'000 + random.Between(0, 30'000));
    const Timestamp time = clock.OnPacket(i, 10'000'000 + i * 3600, arrival, remote);
    if (last && std::abs((time - *last).count() - 40'000) > 1) ++moved;
    last = time;
  }
  EXPECT_FALSE(clock.synchronised());
  EXPECT_LT(moved, 30u);
}

// One participant's camera and microphone second by second: packets and reports, and how far the media times
// are from the sampling times.
class TwoClocks {
 public:
  struct Track {
    explicit Track(uint32_t clock_rate) : rate(clock_rate), clock(clock_rate) {}
    uint32_t rate;
    SourceClock clock;
    Unwrapper<uint32_t> unwrapper;
    uint32_t rtp_offset = 0xFFFF0000;
    double speed = 1;  // of its RTP clock
    Duration lag{0};   // rate of its RTP clock
    Duration report_error{0};
    bool reports = true;
    int64_t sequence = 0;
    int64_t worst_us = 0;       // maximum difference of a media time from the sampling time
    int64_t unbelieved_us = 0;  // how long the reports were not used

    uint32_t Rtp(Timestamp sampled) const {
      const double us = static_cast<double>(sampled.time_since_epoch().count()) * speed;
      return rtp_offset + static_cast<uint32_t>(static_cast<int64_t>(us * rate / 1e6));
    }
  };

  // Sends packets every 20 ms and reports every second, delayed by `path`.
  void Run(Duration time) {
    for (const Timestamp end = now_ + time; now_ < end; now_ += Duration(20'000)) {
      for (Track* track : {&audio, &video}) {
        Receive(*track, now_ + track->lag + path);
        if (!track->clock.synchronised()) track->unbelieved_us += 20'000;
        if (track->reports && (now_ - Timestamp{}).count() % 1'000'000 == 0) Report(*track);
      }
    }
  }
  // Like Run, but all packets arrive at its end.
  void Stall(Duration time) {
    const Timestamp end = now_ + time;
    for (; now_ < end; now_ += Duration(20'000)) {
      for (Track* track : {&audio, &video}) Receive(*track, end + track->lag + path);
    }
  }
  Timestamp Receive(Track& track, Timestamp arrival) {
    const int64_t rtp = track.unwrapper.Unwrap(track.Rtp(now_));
    const Timestamp time = track.clock.OnPacket(++track.sequence, rtp, arrival, remote_);
    track.worst_us = std::max<int64_t>(track.worst_us, std::abs((time - now_).count()));
    EXPECT_LE(time, arrival);
    return time;
  }
  void Forget() {
    for (Track* track : {&audio, &video}) track->worst_us = track->unbelieved_us = 0;
  }
  // How much later video is played than audio that was sampled at the same time.
  int64_t Apart() {
    const Timestamp sound = Receive(audio, now_ + audio.lag + path);
    return (Receive(video, now_ + video.lag + path) - sound).count();
  }
  Timestamp now() const { return now_; }

  Track audio{48'000};
  Track video{90'000};
  Duration path{20'000};
  Duration ntp_offset{77'000'000'000};

 private:
  void Report(Track& track) {
    const Timestamp told = now_ + ntp_offset + track.report_error;
    track.clock.OnSenderReport(NtpFromTimestamp(told), track.Rtp(now_));
  }
  Timestamp now_ = TimestampFromMicros(1'000'000'000);
  RemoteClockOffset remote_;
};

// The source's encoder delays video: reports show it, and arrival times alone preserve it.
TEST(SourceClock, KeepsTheLagFromReportsWhenRtpTimeJumps) {
  TwoClocks clocks;
  clocks.video.lag = Duration(150'000);
  clocks.Run(Duration(5'000'000));
  EXPECT_EQ(clocks.Apart(), 0);
  clocks.video.rtp_offset -= 3 * 90'000;
  clocks.Forget();
  clocks.Run(Duration(500'000));
  EXPECT_FALSE(clocks.video.clock.synchronised());
  EXPECT_TRUE(clocks.audio.clock.synchronised());
  EXPECT_EQ(clocks.Apart(), 0);
  clocks.Run(Duration(5'000'000));
  EXPECT_TRUE(clocks.video.clock.synchronised());
  EXPECT_EQ(clocks.Apart(), 0);
  EXPECT_LE(clocks.video.worst_us, 20'000);
  EXPECT_LE(clocks.audio.worst_us, 20'000);
}

TEST(SourceClock, UsesReportsAgainAfterTheNetworkHasStopped) {
  TwoClocks clocks;
  clocks.video.lag = Duration(60'000);
  clocks.Run(Duration(5'000'000));
  clocks.Stall(Duration(3'000'000));
  clocks.Forget();
  clocks.Run(Duration(5'000'000));
  EXPECT_EQ(clocks.video.unbelieved_us + clocks.audio.unbelieved_us, 0);
  EXPECT_EQ(clocks.Apart(), 0);
  EXPECT_LE(clocks.video.worst_us, 20'000);
}

TEST(SourceClock, AQueueThatGrowsToSecondsIsNotAContradiction) {
  TwoClocks clocks;
  clocks.Run(Duration(5'000'000));
  clocks.Forget();
  for (const int64_t step : {30'000, -30'000}) {
    for (int i = 0; i < 100; ++i) {
      clocks.path += Duration(step);
      clocks.Run(Duration(40'000));
    }
  }
  EXPECT_EQ(clocks.video.unbelieved_us + clocks.audio.unbelieved_us, 0);
  EXPECT_LE(clocks.video.worst_us, 21'000);
}

// The sender's wall clock is set by a little or by much: media times do not jump, and reports are used again
// later.
TEST(SourceClock, SettingTheWallClockDoesNotMoveTheMedia) {
  for (const int64_t by_us : {60'000'000ll, -60'000'000ll, 3'000'000ll, -3'000'000ll, -3'600'000'000ll}) {
    SCOPED_TRACE(by_us);
    TwoClocks clocks;
    clocks.video.lag = Duration(60'000);
    clocks.Run(Duration(5'000'000));
    clocks.Forget();
    clocks.ntp_offset += Duration(by_us);
    clocks.Run(Duration(12'000'000));
    EXPECT_EQ(clocks.Apart(), 0);
    clocks.Run(Duration(8'000'000));
    EXPECT_TRUE(clocks.audio.clock.synchronised());
    EXPECT_TRUE(clocks.video.clock.synchronised());
    EXPECT_EQ(clocks.Apart(), 0);
    EXPECT_LE(clocks.video.worst_us, 20'000);
    EXPECT_LE(clocks.audio.worst_us, 20'000);
  }
}

// Wrong reports of one source from the beginning do not affect the other source.
TEST(SourceClock, ContradictoryReportsOfOneSourceDoNotMoveTheOther) {
  for (const int64_t error_us : {5'000'000, -5'000'000, 1'500'000, -1'500'000}) {
    SCOPED_TRACE(error_us);
    TwoClocks clocks;
    clocks.video.reports = false;
    clocks.Run(Duration(3'000'000));
    clocks.video.reports = true;
    clocks.video.report_error = Duration(error_us);
    clocks.Run(Duration(30'000'000));
    EXPECT_TRUE(clocks.audio.clock.synchronised());
    EXPECT_FALSE(clocks.video.clock.synchronised());
    EXPECT_LE(clocks.audio.worst_us, 20'000);
    EXPECT_LE(clocks.video.worst_us, 20'000);
  }
}

// An RTP clock that is slower than declared falls behind the arrival only by what the windowed minimum
// remembers.
TEST(SourceClock, ASlowRtpClockStaysNearTheArrival) {
  TwoClocks clocks;
  clocks.video.speed = 0.95;
  clocks.Run(Duration(120'000'000));
  EXPECT_LE(clocks.video.worst_us, 2'200'000);
  EXPECT_LE(clocks.audio.worst_us, 20'000);
}

// Late packets keep their time, on either side of a jump, and do not change the clock.
TEST(SourceClock, LatePacketsKeepTheirTimes) {
  SourceClock clock(90'000);
  RemoteClockOffset remote;
  const auto at = [](int64_t ms) { return TimestampFromMicros(1'000'000'000 + ms * 1000); };
  constexpr int64_t kFrame = 3'600;  // 40 ms
  const int64_t rtp = 5'000'000;
  EXPECT_EQ(clock.OnPacket(1, rtp, at(0), remote), at(0));
  EXPECT_EQ(clock.OnPacket(4, rtp + 3 * kFrame, at(120), remote), at(120));
  EXPECT_EQ(clock.OnPacket(2, rtp + kFrame, at(1'900), remote), at(40)) << "repaired late";
  const int64_t fallen = rtp + 5 * kFrame - 3 * 90'000;
  EXPECT_EQ(clock.OnPacket(6, fallen, at(200), remote), at(200));
  EXPECT_EQ(clock.OnPacket(5, rtp + 4 * kFrame, at(210), remote), at(160)) << "sent before the jump";
  EXPECT_EQ(clock.OnPacket(8, fallen + 2 * kFrame, at(280), remote), at(280));
  EXPECT_EQ(clock.OnPacket(7, fallen + kFrame, at(300), remote), at(240)) << "sent behind it";
  EXPECT_EQ(clock.OnPacket(3, rtp + 2 * kFrame, at(320), remote), at(80));
}

}  // namespace
}  // namespace nexus
