// The jitter buffers over generated networks: whatever the input, the output is in order, without duplicates,
// in time and bounded.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/client/jitter_buffer/audio_jitter_buffer.h"
#include "engine/client/jitter_buffer/video_jitter_buffer.h"
#include "testing/random.h"
#include "testing/vp8_payload.h"

namespace nexus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AppendVp8FrameStart;
using testing::MakeVp8Descriptor;
using testing::Random;
using Bytes = std::vector<uint8_t>;

constexpr Timestamp kStart = TimestampFromMicros(500'000'000);

struct Arriving {
  ReceivedMedia media;
  Bytes payload;
};
using Network = std::multimap<Timestamp, Arriving>;

// ---- delay estimator ----

Duration TargetAfter(Duration jitter, uint64_t seed, DelayEstimator& estimator, int units = 2'000) {
  Random random(seed);
  static int64_t media_us = 0;
  for (int i = 0; i < units; ++i) {
    media_us += 20'000;
    const Duration media(media_us);
    estimator.OnUnit(media, kStart + media + milliseconds(50) + Duration(random.Between(0, jitter.count())));
  }
  return estimator.target();
}

TEST(DelayEstimator, TheTargetIsTheJittersHighQuantile) {
  for (const int64_t jitter_ms : {5, 30, 100, 300}) {
    DelayEstimator estimator({});
    const Duration target = TargetAfter(milliseconds(jitter_ms), 1, estimator);
    EXPECT_GE(target, milliseconds(jitter_ms) * 8 / 10);
    EXPECT_LE(target, milliseconds(jitter_ms) * 11 / 10 + milliseconds(10));
  }
}

TEST(DelayEstimator, RisesAtOnceAndFallsSlowly) {
  DelayEstimator estimator({});
  const Duration calm = TargetAfter(milliseconds(5), 1, estimator);
  const Duration rough = TargetAfter(milliseconds(200), 2, estimator, 200);
  EXPECT_GT(rough, calm + milliseconds(120));
  const Duration soon = TargetAfter(milliseconds(5), 3, estimator, 50);  // after a second
  EXPECT_GT(soon, rough - milliseconds(40));
  const Duration later = TargetAfter(milliseconds(5), 4, estimator, 1'500);
  EXPECT_LT(later, calm + milliseconds(15));
}

TEST(DelayEstimator, FollowsAClockThatRunsSlow) {
  // The sender's clock is 200 ppm slow: each unit comes a little later, for ever. The base must follow.
  DelayEstimator estimator({});
  for (int64_t i = 0; i < 50 * 600; ++i) {
    const Duration media(i * 20'000);
    estimator.OnUnit(media, kStart + media + Duration(i * 4));
  }
  EXPECT_LE(estimator.target(), milliseconds(15));
}

// ---- video ----

// VP8 frames of one to four packets at 30 frames a second, a keyframe each `key_every`.
Network VideoOver(Random& random, int frames, int key_every, Duration jitter, unsigned loss_percent,
                  std::vector<int64_t>* lost = nullptr) {
  Network network;
  int64_t sequence = 65'536 + 65'000;
  for (int i = 0; i < frames; ++i) {
    const int packets = static_cast<int>(random.Between(1, 4));
    const Timestamp sent = kStart + Duration(int64_t{i} * 33'333);
    for (int k = 0; k < packets; ++k) {
      Arriving arriving;
      arriving.payload =
          MakeVp8Descriptor({.first_of_frame = k == 0, .picture_id = static_cast<uint16_t>(i), .layer = {}});
      if (k == 0) AppendVp8FrameStart(arriving.payload, i % key_every == 0, {64, 64});
      arriving.payload.push_back(7);
      arriving.media.sequence_number = sequence++;
      arriving.media.timestamp = 4'294'900'000u + static_cast<uint32_t>(i) * 3'000;  // over the wrap
      arriving.media.marker = k + 1 == packets;
      arriving.media.opened = true;
      if (random.Percent(loss_percent)) {
        if (lost != nullptr) lost->push_back(arriving.media.sequence_number);
        continue;
      }
      network.emplace(sent + milliseconds(40) + Duration(random.Between(0, jitter.count())), arriving);
      if (random.Percent(3)) network.emplace(sent + milliseconds(60), arriving);
    }
  }
  return network;
}

struct Shown {
  std::vector<VideoFrame> frames;
  std::vector<Timestamp> at;
  uint64_t requests = 0;
};

Shown Watch(VideoJitterBuffer& buffer, const Network& network, Timestamp end) {
  Shown shown;
  auto next = network.begin();
  Timestamp now = kStart;
  while (now < end) {
    Timestamp step = std::max(buffer.next_deadline(), now + Duration(100));
    if (next != network.end()) step = std::min(step, std::max(next->first, now));
    if (step > end) break;
    now = step;
    while (next != network.end() && next->first <= now) {
      ReceivedMedia media = next->second.media;
      media.payload = next->second.payload;
      buffer.Insert(media, now);
      ++next;
    }
    while (auto frame = buffer.Poll(now)) {
      shown.frames.push_back(std::move(*frame));
      shown.at.push_back(now);
    }
    if (buffer.TakeKeyframeRequest(now)) ++shown.requests;
  }
  return shown;
}

class VideoOverJitter : public ::testing::TestWithParam<uint64_t> {};

TEST_P(VideoOverJitter, EveryFrameOnceInOrderAndEvenly) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  Random random(GetParam());
  const Network network = VideoOver(random, 600, 300, milliseconds(60), 0);
  VideoJitterBuffer buffer({});
  const Shown shown = Watch(buffer, network, kStart + seconds(25));
  ASSERT_EQ(shown.frames.size(), 600u);
  for (size_t i = 1; i < shown.frames.size(); ++i) {
    EXPECT_EQ(shown.frames[i].frame.first_sequence, shown.frames[i - 1].frame.last_sequence + 1);
    EXPECT_EQ(shown.frames[i].frame.timestamp - shown.frames[i - 1].frame.timestamp, 3'000);
    // After the start, display times are even although arrival times are not.
    if (i > 100) {
      EXPECT_LT(shown.at[i] - shown.at[i - 1], milliseconds(33 + 25)) << i;
    }
  }
  EXPECT_EQ(buffer.counters().dropped, 0u);
  EXPECT_EQ(shown.requests, 0u);
  EXPECT_GT(buffer.target(), milliseconds(30));
  EXPECT_LT(buffer.target(), milliseconds(80));
}

// Without repair, video resumes at the next keyframe after each loss, and only there.
TEST_P(VideoOverJitter, ALossIsSkippedToTheNextKeyframe) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  Random random(GetParam());
  std::vector<int64_t> lost;
  const Network network = VideoOver(random, 900, 30, milliseconds(20), 1, &lost);
  ASSERT_FALSE(lost.empty());
  VideoJitterBuffer buffer({});
  const Shown shown = Watch(buffer, network, kStart + seconds(35));
  ASSERT_GT(shown.frames.size(), 300u);
  EXPECT_TRUE(shown.frames.front().frame.keyframe);
  for (size_t i = 1; i < shown.frames.size(); ++i) {
    const AssembledFrame& before = shown.frames[i - 1].frame;
    const AssembledFrame& frame = shown.frames[i].frame;
    EXPECT_GT(frame.first_sequence, before.last_sequence);
    EXPECT_GT(frame.timestamp, before.timestamp);
    if (frame.first_sequence != before.last_sequence + 1) {
      EXPECT_TRUE(frame.keyframe);
      EXPECT_TRUE(shown.frames[i].after_gap);
    }
  }
  EXPECT_GT(buffer.counters().gaps, 0u);
  EXPECT_GT(shown.requests, 0u);
  EXPECT_LE(buffer.frames(), 100u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, VideoOverJitter, ::testing::Range(uint64_t{1}, uint64_t{11}));

TEST(VideoJitterBuffer, IsBoundedWithoutAKeyframe) {
  Random random(4);
  Network network = VideoOver(random, 2'000, 100'000, milliseconds(5), 0);
  network.erase(network.begin());  // part of the only keyframe
  VideoJitterBufferConfig config;
  config.max_frames = 20;
  VideoJitterBuffer buffer(config);
  const Shown shown = Watch(buffer, network, kStart + seconds(70));
  EXPECT_LE(buffer.frames(), 20u);
  EXPECT_GT(shown.requests, 10u);
  EXPECT_LT(shown.requests, 200u);  // not one a frame
}

TEST(VideoJitterBuffer, KeyframesOfAMutedCameraAreNotRequested) {
  Random random(4);
  const Network network = VideoOver(random, 60, 100, milliseconds(5), 0);
  VideoJitterBuffer buffer({});
  const Shown shown = Watch(buffer, network, kStart + seconds(600));
  EXPECT_EQ(shown.frames.size(), 60u);
  EXPECT_EQ(shown.requests, 0u);
  EXPECT_EQ(buffer.next_deadline(), kNever);
}

// ---- audio ----

struct Heard {
  std::map<AudioDecision, uint64_t> decisions;
  std::vector<int64_t> timestamps;
  Duration silent_for{0};
};

// Speech with DTX pauses. The device pulls every 20 ms, earlier or later after a packet was stretched.
struct AudioCall {
  AudioCall(uint64_t seed, Duration jitter, unsigned loss_percent, int packets = 1'500, bool pauses = false)
      : random(seed) {
    int64_t sequence = 65'536;
    for (int i = 0; i < packets; ++i) {
      const bool pause = pauses && i / 50 % 2 == 1;
      if (pause && i % 50 != 0 && i % 20 != 0) continue;  // RFC 7587: one packet each 400 ms
      Arriving arriving;
      arriving.payload.assign(pause ? 1 : 80, 0x78);
      arriving.media.sequence_number = sequence++;
      arriving.media.timestamp = 4'294'000'000u + static_cast<uint32_t>(i) * 960;
      arriving.media.opened = true;
      if (random.Percent(loss_percent)) continue;
      network.emplace(kStart + milliseconds(20 * i + 30) + Duration(random.Between(0, jitter.count())),
                      arriving);
      if (random.Percent(2)) network.emplace(kStart + milliseconds(20 * i + 45), arriving);
    }
  }
  Heard Listen(AudioJitterBuffer& buffer, Timestamp end) {
    Heard heard;
    auto next = network.begin();
    for (Timestamp now = kStart; now < end;) {
      while (next != network.end() && next->first <= now) {
        ReceivedMedia media = next->second.media;
        media.payload = next->second.payload;
        buffer.Insert(media, next->first);
        ++next;
      }
      const AudioPlayout out = buffer.Pull(now);
      ++heard.decisions[out.decision];
      max_packets = std::max(max_packets, buffer.packets());
      Duration length = milliseconds(20);
      if (out.decision == AudioDecision::kAccelerate) length = milliseconds(13);
      if (out.decision == AudioDecision::kDecelerate) length = milliseconds(27);
      if (out.decision == AudioDecision::kNormal || out.decision == AudioDecision::kAccelerate ||
          out.decision == AudioDecision::kDecelerate) {
        heard.timestamps.push_back(out.timestamp);
        EXPECT_FALSE(out.payload.empty());
      }
      now += length;
    }
    return heard;
  }
  Random random;
  Network network;
  size_t max_packets = 0;
};

class AudioOverJitter : public ::testing::TestWithParam<std::tuple<uint64_t, int, int>> {};

TEST_P(AudioOverJitter, PlaysInOrderOnceAndConcealsTheRest) {
  const auto [seed, jitter_ms, loss] = GetParam();
  AudioCall call(seed, milliseconds(jitter_ms), static_cast<unsigned>(loss));
  AudioJitterBuffer buffer;
  const Heard heard = call.Listen(buffer, kStart + seconds(30));
  for (size_t i = 1; i < heard.timestamps.size(); ++i)
    EXPECT_GT(heard.timestamps[i], heard.timestamps[i - 1]);
  const double arrived = 1'500.0 * (100 - loss) / 100;
  EXPECT_GT(static_cast<double>(heard.timestamps.size()), arrived * 0.96);
  EXPECT_LE(static_cast<double>(heard.timestamps.size()), 1'500);
  EXPECT_LT(call.max_packets, 30u);
  // A loss is recovered by the codec's FEC when the next packet is there, and concealed otherwise. There are
  // few more of both than there were losses.
  const double repaired = static_cast<double>(buffer.counters().fec + buffer.counters().concealed);
  EXPECT_LT(repaired, 1'500.0 * loss / 100 * 1.5 + 60);
  EXPECT_GE(buffer.counters().fec, loss > 0 ? 10u : 0u);
}

INSTANTIATE_TEST_SUITE_P(Networks, AudioOverJitter,
                         ::testing::Combine(::testing::Range(uint64_t{1}, uint64_t{5}),
                                            ::testing::Values(2, 40, 120), ::testing::Values(0, 5)));

TEST(AudioJitterBuffer, TheDelayFollowsTheJitterDownAgain) {
  AudioJitterBuffer buffer;
  AudioCall rough(1, milliseconds(150), 0, 500);
  rough.Listen(buffer, kStart + seconds(10));
  const Duration high = buffer.target();
  EXPECT_GT(high, milliseconds(100));
  // The same stream continues over a path without jitter.
  AudioCall calm(2, milliseconds(3), 0, 3'000);
  calm.network.erase(calm.network.begin(), calm.network.lower_bound(kStart + seconds(10)));
  auto next = calm.network.begin();
  for (Timestamp now = kStart + seconds(10); now < kStart + seconds(60);) {
    while (next != calm.network.end() && next->first <= now) {
      ReceivedMedia media = next->second.media;
      media.payload = next->second.payload;
      buffer.Insert(media, next->first);
      ++next;
    }
    now += buffer.Pull(now).decision == AudioDecision::kAccelerate ? milliseconds(13) : milliseconds(20);
  }
  EXPECT_LT(buffer.target(), milliseconds(35));
  EXPECT_LT(buffer.level(), milliseconds(120));
  EXPECT_GT(buffer.counters().accelerated, 3u);
}

TEST(AudioJitterBuffer, EncoderPausesAreComfortNoiseAndNoConcealment) {
  AudioCall call(1, milliseconds(5), 0, 1'000, true);
  AudioJitterBuffer buffer;
  Heard heard = call.Listen(buffer, kStart + seconds(20));
  EXPECT_GT(heard.decisions[AudioDecision::kComfortNoise], 300u);
  EXPECT_LT(heard.decisions[AudioDecision::kConceal], 20u);
  EXPECT_EQ(buffer.counters().fec, 0u);
}

TEST(AudioJitterBuffer, AStreamThatStopsFadesOutAndRestarts) {
  AudioCall call(1, milliseconds(5), 0, 100);
  AudioJitterBuffer buffer;
  const Heard heard = call.Listen(buffer, kStart + seconds(4));
  EXPECT_EQ(heard.timestamps.size(), 100u);
  EXPECT_LE(buffer.counters().concealed, 8u);
  EXPECT_EQ(buffer.Pull(kStart + seconds(4)).decision, AudioDecision::kSilence);
}

TEST(AudioJitterBuffer, IsBoundedWithoutPulls) {
  AudioCall call(1, milliseconds(5), 0, 5'000);
  AudioJitterBuffer buffer;
  for (const auto& [at, arriving] : call.network) {
    ReceivedMedia media = arriving.media;
    media.payload = arriving.payload;
    buffer.Insert(media, at);
    EXPECT_LE(buffer.packets(), 200u);
  }
  EXPECT_GT(buffer.counters().overflows, 4'000u);
}

}  // namespace
}  // namespace nexus
