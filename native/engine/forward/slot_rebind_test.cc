// Hard problem 2: captures through a slot that is rebound at every packet position, with loss, reordering and
// duplicates. Every gap in the slot's output is caused by upstream loss or by a frame that was cut off.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "engine/forward/slot_forwarder.h"
#include "testing/random.h"
#include "testing/rtp_capture.h"

namespace nexus {
namespace {

using testing::CapturedStream;
using testing::Random;

struct CaptureFile {
  const char* name;
  Codec codec;
};
constexpr CaptureFile kFiles[] = {{"vp8.pcap", Codec::kVp8},
                                  {"vp9.pcap", Codec::kVp9},
                                  {"h264.pcap", Codec::kH264},
                                  {"av1.pcap", Codec::kAv1}};

CapturedStream Load(std::vector<testing::CapturedDatagram> capture, Codec codec) {
  CapturedStream stream = testing::LoadStream(std::move(capture), codec);
  if (codec == Codec::kAv1) return testing::WithDescriptors(std::move(stream));
  return stream;
}

// The capture as sent by another source, with other numbers and another clock, starting at `begin`.
std::vector<SourcePacket> AsSource(const CapturedStream& stream, int64_t sequence_shift, int64_t time_shift,
                                   Timestamp begin) {
  auto first = std::find_if(stream.packets.begin(), stream.packets.end(),
                            [](const SourcePacket& p) { return p.frame.keyframe_start; });
  std::vector<SourcePacket> packets(first, stream.packets.end());
  const int64_t timestamp = packets.front().timestamp;
  const int64_t sequence = packets.front().sequence_number;
  for (SourcePacket& packet : packets) {
    packet.media_time = begin + Duration((packet.timestamp - timestamp) * 100 / 9);
    packet.arrival = packet.media_time + Duration(20'000);
    packet.timestamp += time_shift - timestamp;
    packet.sequence_number += sequence_shift - sequence;
  }
  return packets;
}

// Loss, reordering by up to three places, and duplication. The keyframe's first packet is never lost.
std::vector<SourcePacket> Impair(const std::vector<SourcePacket>& packets, Random& random) {
  std::vector<std::pair<int64_t, SourcePacket>> order;
  for (size_t i = 0; i < packets.size(); ++i) {
    const auto at = static_cast<int64_t>(i) * 2;
    if (i > 0 && random.Percent(5)) continue;
    order.emplace_back(at + (i > 0 && random.Percent(10) ? random.Between(1, 6) : 0), packets[i]);
    if (random.Percent(4)) order.emplace_back(at + random.Between(0, 8), packets[i]);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<SourcePacket> result;
  for (auto& [at, packet] : order) result.push_back(packet);
  return result;
}

std::vector<uint8_t> Patched(const CodecPatch& patch, ByteView original) {
  std::vector<uint8_t> bytes(patch.bytes.begin(), patch.bytes.begin() + patch.size);
  const ByteView rest = original.subspan(patch.replaces);
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

// The frame's number: picture id of VP8 and VP9, frame number of AV1; nothing for H.264.
std::optional<uint32_t> FrameNumber(Codec codec, const SourcePacket& packet, const Rewritten& out) {
  if (codec == Codec::kVp8) return ParseVp8Descriptor(Patched(out.patch, packet.payload))->picture_id;
  if (codec == Codec::kVp9) return ParseVp9Descriptor(Patched(out.patch, packet.payload))->picture_id;
  if (!out.descriptor.forwarded) return std::nullopt;
  return out.descriptor.frame_number;
}

std::optional<uint32_t> SourceFrameNumber(const SourcePacket& packet) {
  if (const auto* vp8 = std::get_if<Vp8Descriptor>(&packet.frame.descriptor)) return vp8->picture_id;
  if (const auto* vp9 = std::get_if<Vp9Descriptor>(&packet.frame.descriptor)) return vp9->picture_id;
  if (packet.frame.dependency) return packet.frame.dependency->frame_number;
  return std::nullopt;
}

uint32_t FrameMask(Codec codec) { return codec == Codec::kAv1 ? 0xFFFF : 0x7FFF; }

// Checks every packet that leaves the slot.
class Receiver {
 public:
  explicit Receiver(Codec codec) : codec_(codec) {}

  void OnPacket(const SourcePacket& packet, const Rewritten& out, uint32_t csrc) {
    ASSERT_EQ(out.csrc, csrc);
    ASSERT_EQ(out.marker, packet.marker);
    ASSERT_TRUE(sent_.insert(out.sequence_number).second) << "one number twice";
    const auto frame = FrameNumber(codec_, packet, out);
    if (out.first_of_binding) {
      ASSERT_TRUE(packet.frame.keyframe_start);
      if (highest_) {
        // Directly after the last frame, or one number further after a frame that was cut off.
        ASSERT_EQ(out.sequence_number, *highest_ + (highest_marker_ ? 1 : 2));
        ASSERT_GT(static_cast<int32_t>(out.timestamp - highest_timestamp_), 0) << "time stands still";
        if (frame) {
          ASSERT_EQ(*frame, (highest_frame_ + 1) & FrameMask(codec_));
        }
      }
      origin_source_ = packet.sequence_number;
      origin_out_ = out.sequence_number;
      origin_time_ = packet.timestamp;
      origin_timestamp_ = out.timestamp;
      if (frame) frame_shift_ = *frame - *SourceFrameNumber(packet);
    }
    // No unexplained gap: during a binding there are only the source's gaps.
    ASSERT_EQ(out.sequence_number - origin_out_, packet.sequence_number - origin_source_);
    ASSERT_EQ(out.timestamp - origin_timestamp_, static_cast<uint32_t>(packet.timestamp - origin_time_));
    if (frame) {
      ASSERT_EQ((*frame - *SourceFrameNumber(packet) - frame_shift_) & FrameMask(codec_), 0u);
    }
    if (!highest_ || out.sequence_number > *highest_) {
      highest_ = out.sequence_number;
      highest_marker_ = out.marker;
      highest_timestamp_ = std::max(highest_timestamp_, out.timestamp,
                                    [](uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; });
      if (count_++ == 0) highest_timestamp_ = out.timestamp;
    }
    if (frame) {
      const bool ahead = ((*frame - highest_frame_) & FrameMask(codec_)) < FrameMask(codec_) / 2;
      if (!any_frame_ || ahead) highest_frame_ = *frame;
      any_frame_ = true;
    }
  }
  size_t count() const { return sent_.size(); }

 private:
  Codec codec_;
  std::set<int64_t> sent_;
  std::optional<int64_t> highest_;
  bool highest_marker_ = true;
  uint32_t highest_timestamp_ = 0;
  uint32_t highest_frame_ = 0;
  bool any_frame_ = false;
  size_t count_ = 0;
  int64_t origin_source_ = 0;
  int64_t origin_out_ = 0;
  int64_t origin_time_ = 0;
  uint32_t origin_timestamp_ = 0;
  uint32_t frame_shift_ = 0;
};

SlotForwarder VideoSlot(uint16_t sequence = 0x7FF0, uint32_t timestamp = 0xFFFFF000) {
  return SlotForwarder({true, 90'000, sequence, timestamp, TimestampFromMicros(0)});
}

void RunRebind(const CaptureFile& file, const CapturedStream& stream, size_t position, Random* random) {
  SlotForwarder slot = VideoSlot();
  Receiver receiver(file.codec);
  const Timestamp begin = TimestampFromMicros(10'000'000);
  const auto shift = static_cast<int64_t>(position);
  auto first = AsSource(stream, 65'536 + 65'400, 0x1'FFFF'0000, begin);
  first.resize(std::min(first.size(), position));
  const Timestamp then = first.back().media_time + Duration(7'000);
  auto second = AsSource(stream, 131'000 + shift % 100, 0x1'1234'5678 + shift, then);
  second.resize(std::min<size_t>(second.size(), 40));
  uint32_t csrc = 1;
  size_t sent_first = 0;
  for (auto* packets : {&first, &second}) {
    if (random) *packets = Impair(*packets, *random);
    slot.Bind({LayerId{csrc}, csrc, file.codec});
    ASSERT_TRUE(slot.waiting_for_keyframe());
    for (const SourcePacket& packet : *packets) {
      const auto out = slot.Forward(LayerId{csrc}, packet);
      if (!out) continue;
      ASSERT_NO_FATAL_FAILURE(receiver.OnPacket(packet, *out, csrc));
    }
    ASSERT_FALSE(slot.waiting_for_keyframe());
    if (csrc == 1) sent_first = receiver.count();
    ++csrc;
  }
  EXPECT_GT(sent_first, 0u);
  EXPECT_GT(receiver.count(), sent_first);
  EXPECT_EQ(slot.counters().forwarded, receiver.count());
  if (!random) {
    EXPECT_EQ(receiver.count(), first.size() + second.size());
  }
}

class Rebind : public ::testing::TestWithParam<CaptureFile> {};

TEST_P(Rebind, AtEveryPacketPosition) {
  NEXUS_LOAD_CAPTURE(capture, GetParam().name);
  const auto stream = Load(capture, GetParam().codec);
  for (size_t position = 1; position < stream.packets.size(); ++position) {
    RunRebind(GetParam(), stream, position, nullptr);
    if (HasFatalFailure()) FAIL() << "at " << position;
  }
}

TEST_P(Rebind, AtEveryPacketPositionUnderLossReorderingAndDuplicates) {
  NEXUS_LOAD_CAPTURE(capture, GetParam().name);
  const auto stream = Load(capture, GetParam().codec);
  for (size_t position = 1; position < stream.packets.size(); ++position) {
    for (uint64_t seed = 0; seed < 3; ++seed) {
      Random random(position * 1000 + seed);
      RunRebind(GetParam(), stream, position, &random);
      if (HasFatalFailure()) FAIL() << "at " << position << " seed " << seed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Captures, Rebind, ::testing::ValuesIn(kFiles),
                         [](const auto& info) { return std::string(CodecName(info.param.codec)); });

}  // namespace
}  // namespace nexus
