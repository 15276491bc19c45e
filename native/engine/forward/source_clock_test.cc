// Lip sync: two sources of one person keep their distance through the slots, whatever their clocks, before
// and after a rebind, and when the first sender report comes late. Field notes 1.1 and 1.6.
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

TEST(RtpNtpClock, OneWrongReportIsNotBelievedTwoAre) {
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

// One person: a microphone and a camera with clocks that begin anywhere, sent over a jittery path.
class Person {
 public:
  Person(uint64_t seed, int64_t joined_us) : random_(seed), joined_us_(joined_us) {
    ntp_base_us_ = random_.Between(0, int64_t{1} << 51);
    for (Track* track : {&audio, &video}) {
      track->rtp_start = static_cast<uint32_t>(random_.Next());
      track->sequence = 70'000;
    }
    audio.rate = 48'000;
    audio.path_us = random_.Between(10'000, 40'000);
    audio.first_report_us = random_.Between(500'000, 5'000'000);
    video.rate = 90'000;
    // encoding and pacing delay the picture
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

  // The packet sampled at `capture_us`, as the SFU gets it.
  SourcePacket Packet(Track& track, int64_t capture_us) {
    const int64_t since_join = capture_us - joined_us_;
    if (!track.clock) track.clock.emplace(track.rate);
    SourcePacket packet;
    packet.sequence_number = track.sequence++;
    packet.timestamp = track.unwrapper.Unwrap(track.RtpAt(since_join));
    packet.arrival = TimestampFromMicros(capture_us + track.path_us + random_.Between(0, 6'000));
    packet.media_time = track.clock->OnPacket(packet.timestamp, packet.arrival, remote_);
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

// When the receiver, going by sender reports, shows what carries this timestamp.
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
    Person person(GetParam() * 100 + binding, now_us);
    audio.Bind({LayerId{binding * 2}, binding, Codec::kOpus}, {});
    video.Bind({LayerId{binding * 2 + 1}, binding, Codec::kH264}, {});
    const int64_t bound_us = now_us;
    int64_t audio_error = 0;
    for (; now_us < bound_us + 20'000'000; now_us += 20'000) {
      const SourcePacket sound = person.Packet(person.audio, now_us);
      const auto heard = audio.Forward(LayerId{binding * 2}, sound, sound.arrival);
      ASSERT_TRUE(heard);
      if (last_audio) {
        ASSERT_GT(static_cast<int32_t>(heard->timestamp - *last_audio), 0);
      }
      last_audio = heard->timestamp;
      // How far from the moment of sampling it is played; sound and picture must be off alike.
      audio_error = ShownAt(audio, heard->timestamp, 48'000, sound.arrival) - now_us;
      if ((now_us - bound_us) % 40'000 != 0) continue;
      const SourcePacket picture = person.Packet(person.video, now_us);
      const auto seen = video.Forward(LayerId{binding * 2 + 1}, picture, picture.arrival);
      ASSERT_TRUE(seen);
      if (last_video) {
        ASSERT_GT(static_cast<int32_t>(seen->timestamp - *last_video), 0);
      }
      last_video = seen->timestamp;
      const int64_t error = ShownAt(video, seen->timestamp, 90'000, picture.arrival) - now_us - audio_error;
      // Both first reports are in after five seconds, and a second more lets the picture be drawn up.
      if (now_us - bound_us > 6'500'000) worst_us = std::max(worst_us, std::abs(error));
    }
  }
  // Each slot may be off its line by up to its tolerance of 8 ms before it is moved.
  EXPECT_LT(worst_us, 10'000) << "flash and beep";
  EXPECT_GT(worst_us, 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LipSync, ::testing::Range<uint64_t>(0, 20));

// Without any report the time between packets is the source's own, however unsteady their arrival.
TEST(SourceClock, WithoutReportsJitterDoesNotReachTheTimes) {
  testing::Random random(5);
  SourceClock clock(90'000);
  RemoteClockOffset remote;
  std::optional<Timestamp> last;
  size_t moved = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    const Timestamp arrival = TimestampFromMicros(5'000'000 + i * 40'000 + random.Between(0, 30'000));
    const Timestamp time = clock.OnPacket(10'000'000 + i * 3600, arrival, remote);
    if (last && std::abs((time - *last).count() - 40'000) > 1) ++moved;
    last = time;
  }
  EXPECT_FALSE(clock.synchronised());
  EXPECT_LT(moved, 30u);
}

}  // namespace
}  // namespace nexus
