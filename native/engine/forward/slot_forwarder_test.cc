// A slot's behaviour with synthetic packets: keyframes, probes, restarts, repeats, time.
#include "engine/forward/slot_forwarder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <vector>

#include "testing/random.h"

namespace nexus {
namespace {

using testing::Random;

SlotForwarder VideoSlot(uint16_t sequence = 0x7FF0, uint32_t timestamp = 0xFFFFF000) {
  return SlotForwarder({true, 90'000, sequence, timestamp, TimestampFromMicros(0)});
}

// Synthetic packets for cases that no capture contains.
class MadeSource {
 public:
  SourcePacket Next(bool keyframe, bool marker, int64_t frame_us = 33'333) {
    SourcePacket packet;
    packet.sequence_number = sequence++;
    packet.timestamp = timestamp;
    packet.media_time = time;
    packet.arrival = time;
    packet.marker = marker;
    packet.frame.keyframe_start = keyframe;
    packet.payload = payload;
    if (marker) {
      timestamp += frame_us * 9 / 100;
      time += Duration(frame_us);
    }
    return packet;
  }
  SourcePacket Probe() {
    SourcePacket packet = Next(false, false);
    packet.payload = {};
    return packet;
  }

  int64_t sequence = 70'000;
  int64_t timestamp = 1'000'000;
  Timestamp time = TimestampFromMicros(1'000'000);
  std::vector<uint8_t> payload = std::vector<uint8_t>(10, 1);
};

const SlotSource kH264Source{LayerId{1}, 11, Codec::kH264};

TEST(SlotForwarder, WaitsForAKeyframeAndReportsIt) {
  SlotForwarder slot = VideoSlot();
  MadeSource source;
  EXPECT_FALSE(slot.Forward(LayerId{1}, source.Next(true, true))) << "not bound";
  slot.Bind(kH264Source);
  EXPECT_TRUE(slot.waiting_for_keyframe());
  EXPECT_FALSE(slot.Forward(LayerId{1}, source.Next(false, true)));
  EXPECT_EQ(slot.counters().waiting_for_keyframe, 1u);
  EXPECT_FALSE(slot.Forward(LayerId{2}, source.Next(true, true))) << "another layer";
  const auto out = slot.Forward(LayerId{1}, source.Next(true, true));
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->first_of_binding);
  EXPECT_FALSE(slot.waiting_for_keyframe());
  slot.Unbind();
  EXPECT_FALSE(slot.Forward(LayerId{1}, source.Next(true, true)));
}

// Hard problem 8: outgoing streams start below 2^15.
TEST(SlotForwarder, StartsBelowTheMiddle) {
  for (const uint32_t initial : {0u, 0x7FFFu, 0x8000u, 0xFFFFu}) {
    SlotForwarder slot = VideoSlot(static_cast<uint16_t>(initial));
    MadeSource source;
    slot.Bind(kH264Source);
    const auto out = slot.Forward(LayerId{1}, source.Next(true, true));
    ASSERT_TRUE(out);
    EXPECT_LT(out->sequence_number, 0x8000);
    EXPECT_GE(out->sequence_number, 0);
  }
}

// The outgoing number is SRTP's index: 64 bits, ascending across many wraps.
TEST(SlotForwarder, NumbersContinueAcrossManyWraps) {
  SlotForwarder slot = VideoSlot();
  MadeSource source;
  slot.Bind(kH264Source);
  int64_t last = slot.Forward(LayerId{1}, source.Next(true, true))->sequence_number;
  for (int i = 0; i < 200'000; ++i) {
    const auto out = slot.Forward(LayerId{1}, source.Next(false, true));
    ASSERT_TRUE(out);
    ASSERT_EQ(out->sequence_number, ++last);
  }
  EXPECT_GT(last, 0x30000);
}

TEST(SlotForwarder, DropsLatePacketsFromBeforeTheSwitch) {
  SlotForwarder slot = VideoSlot();
  MadeSource source;
  const SourcePacket late = source.Next(false, true);
  slot.Bind(kH264Source);
  ASSERT_TRUE(slot.Forward(LayerId{1}, source.Next(true, true)));
  EXPECT_FALSE(slot.Forward(LayerId{1}, late));
  EXPECT_EQ(slot.counters().before_switch, 1u);
}

// Hard problem 4: probes leave no gap; a probe whose number was already left free fills it with an empty
// packet.
TEST(SlotForwarder, ProbesLeaveNoGapInAnyOrder) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    SlotForwarder slot = VideoSlot();
    MadeSource source;
    slot.Bind(kH264Source);
    std::vector<std::pair<int64_t, SourcePacket>> order;
    for (int64_t i = 0; i < 300; ++i) {
      const SourcePacket packet =
          i > 0 && random.Percent(20) ? source.Probe() : source.Next(i == 0, i % 3 == 2);
      order.emplace_back(2 * i + (i > 0 && random.Percent(20) ? random.Between(1, 9) : 0), packet);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::set<int64_t> sent;
    size_t media = 0;
    for (const auto& [at, packet] : order) {
      const auto out = slot.Forward(LayerId{1}, packet);
      if (!packet.payload.empty()) {
        ASSERT_TRUE(out) << "a probe never displaces media";
        ++media;
      }
      if (out) {
        ASSERT_TRUE(sent.insert(out->sequence_number).second);
      }
    }
    EXPECT_EQ(*sent.rbegin() - *sent.begin() + 1, static_cast<int64_t>(sent.size()))
        << "a hole, seed " << seed;
    EXPECT_GE(sent.size(), media);
    EXPECT_GT(slot.counters().probes, 0u);
  }
}

TEST(SlotForwarder, NeverSendsANumberTwice) {
  SlotForwarder slot = VideoSlot();
  MadeSource source;
  slot.Bind(kH264Source);
  std::vector<SourcePacket> packets = {source.Next(true, true)};
  for (int i = 0; i < 2000; ++i) packets.push_back(source.Next(false, true));
  for (const SourcePacket& packet : packets) ASSERT_TRUE(slot.Forward(LayerId{1}, packet));
  for (const SourcePacket& packet : packets) ASSERT_FALSE(slot.Forward(LayerId{1}, packet));
  EXPECT_EQ(slot.counters().duplicates + slot.counters().too_old, packets.size());
}

// A restarted source (another encoder, a reload) is a new binding: first a keyframe, then no gap.
TEST(SlotForwarder, ASourceThatJumpsIsBoundAgain) {
  for (const int64_t jump : {int64_t{20'000}, int64_t{-20'000}}) {
    SlotForwarder slot = VideoSlot();
    MadeSource source;
    slot.Bind(kH264Source);
    const auto before = slot.Forward(LayerId{1}, source.Next(true, true));
    source.sequence += jump;
    source.timestamp += 12'345'678;
    EXPECT_FALSE(slot.Forward(LayerId{1}, source.Next(false, true)));
    EXPECT_TRUE(slot.waiting_for_keyframe());
    const auto after = slot.Forward(LayerId{1}, source.Next(true, true));
    ASSERT_TRUE(after);
    EXPECT_EQ(after->sequence_number, before->sequence_number + 1);
    EXPECT_EQ(after->timestamp - before->timestamp, 5999u) << "elapsed time is kept";
    EXPECT_EQ(slot.counters().source_restarts, 1u);
  }
}

// Hard problem 25: the CSRC identifies the source, whatever SSRC it used; audio does not wait.
TEST(SlotForwarder, AudioSwitchesAtOnceAndIdentifiesItsSource) {
  SlotForwarder slot({false, 48'000, 5, 9, TimestampFromMicros(0)});
  MadeSource one;
  MadeSource two;
  two.time += Duration(500'000);
  slot.Bind({LayerId{1}, 101, Codec::kOpus});
  EXPECT_FALSE(slot.waiting_for_keyframe());
  const auto first = slot.Forward(LayerId{1}, one.Next(true, false));
  slot.Bind({LayerId{2}, 102, Codec::kOpus});
  const auto second = slot.Forward(LayerId{2}, two.Next(true, false));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->csrc, 101u);
  EXPECT_EQ(second->csrc, 102u);
  EXPECT_EQ(second->sequence_number, first->sequence_number + 1);
  EXPECT_EQ(second->timestamp - first->timestamp, 24'000u) << "half a second passed";
}

// A keyframe whose first packet came last: what overtook it is forwarded behind it, under the numbers that
// follow.
TEST(SlotForwarder, WhatOvertookTheKeyframesBeginningFollowsIt) {
  SlotForwarder slot = VideoSlot();
  MadeSource source;
  slot.Bind(kH264Source);
  const SourcePacket begin = source.Next(true, false);
  std::vector<SourcePacket> overtaking;
  for (int i = 0; i < 3; ++i) overtaking.push_back(source.Next(false, i == 2));
  for (const SourcePacket& packet : overtaking) EXPECT_FALSE(slot.Forward(LayerId{1}, packet));
  const auto first = slot.Forward(LayerId{1}, begin);
  ASSERT_TRUE(first && first->first_of_binding);
  for (size_t i = 0; i < overtaking.size(); ++i) {
    const auto next = slot.Forward(LayerId{1}, overtaking[i]);
    ASSERT_TRUE(next && !next->first_of_binding);
    EXPECT_EQ(next->sequence_number, first->sequence_number + 1 + static_cast<int64_t>(i));
  }
}

// Time is corrected towards the slot's line, but never stops or goes back.
TEST(SlotForwarder, CorrectsTimeOnlyForward) {
  for (const int64_t error_us : {-400'000, -60'000, -10'000, 10'000, 60'000, 400'000}) {
    SlotForwarder slot = VideoSlot();
    MadeSource source;
    slot.Bind(kH264Source);
    uint32_t last = slot.Forward(LayerId{1}, source.Next(true, true))->timestamp;
    source.time += Duration(error_us);
    int64_t off = 0;
    for (int i = 0; i < 60; ++i) {
      const SourcePacket packet = source.Next(false, true);
      const uint32_t timestamp = slot.Forward(LayerId{1}, packet)->timestamp;
      ASSERT_GT(static_cast<int32_t>(timestamp - last), 0);
      off = static_cast<int32_t>(timestamp - slot.RtpTimestampAt(packet.media_time));
      last = timestamp;
    }
    EXPECT_LE(std::abs(off), 90 * 9) << error_us;
    EXPECT_GT(slot.counters().time_corrections, 0u);
  }
}

// Video moves by at most half of its step, audio at once: video would freeze otherwise, and each part of a
// gap in audio would be audible.
TEST(SlotForwarder, MovesVideoForwardInSteps) {
  SlotForwarder slot = VideoSlot();
  MadeSource source;
  slot.Bind(kH264Source);
  uint32_t last = slot.Forward(LayerId{1}, source.Next(true, true))->timestamp;
  slot.Forward(LayerId{1}, source.Next(false, true));
  last += 2'999;
  SourcePacket packet;
  for (int i = 0; i < 40; ++i) {
    packet = source.Next(false, true);
    packet.media_time += Duration(400'000);
    const uint32_t timestamp = slot.Forward(LayerId{1}, packet)->timestamp;
    EXPECT_LE(timestamp - last, 4'500u) << i;
    last = timestamp;
  }
  EXPECT_LE(std::abs(static_cast<int32_t>(last - slot.RtpTimestampAt(packet.media_time))), 90 * 9);
}

// Pictures that are shown before earlier ones keep their times (H.264's B-frames).
TEST(SlotForwarder, PicturesSentOutOfOrderKeepTheirTimes) {
  SlotForwarder slot = VideoSlot();
  MadeSource source;
  slot.Bind(kH264Source);
  const uint32_t begin = slot.Forward(LayerId{1}, source.Next(true, true))->timestamp;
  for (int group = 0; group < 50; ++group) {
    for (const int64_t shown : {4, 2, 1, 3}) {  // in the order of sending
      SourcePacket packet = source.Next(false, true);
      const int64_t frames = group * 4 + shown;
      packet.timestamp = 1'000'000 + frames * 3'000;
      packet.media_time = TimestampFromMicros(1'000'000 + frames * 33'333);
      const auto sent = slot.Forward(LayerId{1}, packet);
      ASSERT_TRUE(sent);
      EXPECT_NEAR(static_cast<int32_t>(sent->timestamp - begin), static_cast<double>(frames * 3'000), 1'000);
    }
  }
  EXPECT_EQ(slot.counters().time_jumps, 0u);
}

// The source's time falls back or leaps; late packets from before the jump keep their old time.
TEST(SlotForwarder, TimeContinuesAfterAJumpAndLatePacketsKeepTheOldOne) {
  for (const int64_t jump_us : {-3'000'000ll, -200'000ll, -10'000'000ll, 10'000'000ll, 3'600'000'000ll}) {
    SCOPED_TRACE(jump_us);
    SlotForwarder slot = VideoSlot();
    MadeSource source;
    slot.Bind({LayerId{1}, 11, Codec::kVp8});
    const uint32_t begin = slot.Forward(LayerId{1}, source.Next(true, true, 40'000))->timestamp;
    const SourcePacket late = source.Next(false, true, 40'000);
    EXPECT_EQ(slot.Forward(LayerId{1}, source.Next(false, true, 40'000))->timestamp - begin, 7'200u);
    source.timestamp += jump_us * 9 / 100;
    const SourcePacket first = source.Next(false, false);
    const SourcePacket second = source.Next(false, true, 40'000);
    const uint32_t jumped = slot.Forward(LayerId{1}, second)->timestamp;
    EXPECT_NEAR(jumped - begin, 10'800u, 2u) << "by the media time, which follows the arrival";
    EXPECT_EQ(slot.Forward(LayerId{1}, first)->timestamp, jumped) << "one frame, one time";
    EXPECT_EQ(slot.Forward(LayerId{1}, late)->timestamp - begin, 3'600u);
    uint32_t last = jumped;
    for (int i = 0; i < 300; ++i) {
      const uint32_t timestamp = slot.Forward(LayerId{1}, source.Next(false, true, 40'000))->timestamp;
      EXPECT_NEAR(timestamp - last, 3'600u, 200u);
      last = timestamp;
    }
    EXPECT_EQ(slot.counters().time_jumps, 1u);
  }
}

}  // namespace
}  // namespace nexus
