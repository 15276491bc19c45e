// Hard problems 2, 3, 18 and 19: layer switches at every packet position and at random, with and without
// reordering. A slot's output has no gap, ends every picture with a marker, and needs no frame that was not
// sent.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/codec/av1/descriptor_rewrite.h"
#include "engine/forward/assembler.h"
#include "engine/forward/slot_forwarder.h"
#include "testing/layered_source.h"
#include "testing/random.h"

namespace nexus {
namespace {

using testing::LayeredFrame;
using testing::LayeredPacket;
using testing::LayeredSource;
using testing::LayeredSourceOptions;
using testing::LayerSignal;
using testing::Random;

struct Case {
  const char* name;
  LayerSignal signal;
  Codec codec;
  uint8_t spatial;
  uint8_t temporal;
  bool key_only = false;
  bool descriptors = false;
};
constexpr Case kCases[] = {
    {"Vp8L1T2", LayerSignal::kVp8, Codec::kVp8, 1, 2},
    {"Vp8L1T3", LayerSignal::kVp8, Codec::kVp8, 1, 3},
    {"Vp9FlexibleL3T3", LayerSignal::kVp9Flexible, Codec::kVp9, 3, 3},
    {"Vp9FlexibleL2T2Key", LayerSignal::kVp9Flexible, Codec::kVp9, 2, 2, true},
    {"Vp9NonFlexibleL3T3", LayerSignal::kVp9NonFlexible, Codec::kVp9, 3, 3},
    {"Vp9NonFlexibleL3T3Key", LayerSignal::kVp9NonFlexible, Codec::kVp9, 3, 3, true},
    {"Av1L1T3", LayerSignal::kDescriptor, Codec::kAv1, 1, 3},
    {"Av1L3T3", LayerSignal::kDescriptor, Codec::kAv1, 3, 3},
    {"Av1L3T3Key", LayerSignal::kDescriptor, Codec::kAv1, 3, 3, true},
    {"EncryptedVp8L1T3", LayerSignal::kDescriptor, Codec::kVp8, 1, 3},
    {"EncryptedVp9L2T3Key", LayerSignal::kDescriptor, Codec::kVp9, 2, 3, true},
    {"EncryptedH264L1T3", LayerSignal::kDescriptor, Codec::kH264, 1, 3},
    {"DescribedVp8L1T3", LayerSignal::kVp8, Codec::kVp8, 1, 3, false, true},
    {"DescribedVp9FlexibleL3T3", LayerSignal::kVp9Flexible, Codec::kVp9, 3, 3, false, true},
    {"DescribedVp9NonFlexibleL2T2Key", LayerSignal::kVp9NonFlexible, Codec::kVp9, 2, 2, true, true},
};

struct Sent {
  LayeredPacket source;
  Rewritten out;
};

// A receiver that uses only dependency descriptors: reads the packets in order.
class DescriptorReader {
 public:
  explicit DescriptorReader(bool whole = true) : whole_(whole) {}

  // `source` distinguishes frames of different encodings.
  void Read(int source, const std::vector<LayeredFrame>& frames, const Sent& sent) {
    ASSERT_EQ(sent.out.descriptor.forwarded, !sent.out.empty);
    if (sent.out.empty) return;
    const SourcePacket& packet = sent.source.packet;
    std::array<uint8_t, 255> buffer;
    const ByteView written = WriteRewrittenDescriptor(packet.dependency_descriptor, *packet.frame.dependency,
                                                      sent.out.descriptor, buffer);
    const auto read = ParseDependencyDescriptor(written, state_);
    ASSERT_TRUE(read && read->layer_known) << "its structure is not the one that was sent last";
    const LayeredFrame& frame = frames[sent.source.frame];
    ASSERT_EQ(read->spatial_id, frame.spatial);
    ASSERT_EQ(read->temporal_id, frame.temporal);
    ASSERT_EQ(read->end_of_frame, sent.source.last_of_frame);
    const auto [known, fresh] = numbers_.emplace(std::pair{source, frame.id}, read->frame_number);
    ASSERT_EQ(fresh, read->start_of_frame);
    ASSERT_EQ(known->second, read->frame_number) << "one frame, one number";
    if (fresh && newest_) {
      ASSERT_GT(static_cast<int16_t>(read->frame_number - *newest_), 0) << "numbers go on";
      if (source != source_) {
        ASSERT_EQ(static_cast<uint16_t>(*newest_ + 1), read->frame_number);
      }
    }
    newest_ = read->frame_number;
    source_ = source;
    ASSERT_EQ(read->frame_diffs.count, frame.needs.size());
    for (size_t i = 0; i < frame.needs.size(); ++i) {
      const auto needed = numbers_.find({source, frame.needs[i]});
      if (!whole_ && needed == numbers_.end()) continue;
      ASSERT_NE(needed, numbers_.end()) << "needs a frame that was not sent";
      ASSERT_EQ(static_cast<uint16_t>(read->frame_number - read->frame_diffs.values[i]), needed->second);
    }
  }

 private:
  bool whole_;
  DependencyState state_;
  std::map<std::pair<int, size_t>, uint16_t> numbers_;
  std::optional<uint16_t> newest_;
  int source_ = 0;
};

// Checks every packet that a subscriber receives.
class Subscriber {
 public:
  explicit Subscriber(const LayeredSource& source) : source_(source) {}

  void OnPacket(const LayeredPacket& packet, const Rewritten& out) {
    ASSERT_TRUE(by_number_.emplace(out.sequence_number, Sent{packet, out}).second) << "one number twice";
    if (!out.empty) ++packets_of_[packet.frame];
  }

  void ExpectNoHole() const {
    ASSERT_FALSE(by_number_.empty());
    EXPECT_EQ(by_number_.rbegin()->first - by_number_.begin()->first + 1,
              static_cast<int64_t>(by_number_.size()));
  }
  void ExpectDecodable() const {
    for (const auto& [id, packets] : packets_of_) {
      ASSERT_EQ(packets, 2u) << "part of frame " << id;
      for (const size_t needed : source_.frames()[id].needs) {
        ASSERT_TRUE(packets_of_.contains(needed)) << "frame " << id << " needs frame " << needed;
      }
    }
  }
  // Each picture ends with a marker, which no other packet has; time advances only with pictures.
  void ExpectPictures() const {
    const Sent* before = nullptr;
    for (const auto& [number, sent] : by_number_) {
      if (before != nullptr) {
        const bool same = Picture(*before) == Picture(sent);
        ASSERT_EQ(before->out.marker, !same) << "at " << number;
        ASSERT_EQ(before->out.timestamp == sent.out.timestamp, same) << "at " << number;
        ASSERT_GE(static_cast<int32_t>(sent.out.timestamp - before->out.timestamp), 0);
      }
      before = &sent;
    }
  }
  // VP8: consecutive picture ids; TL0PICIDX advances with each picture of layer 0.
  void ExpectVp8Numbers() const {
    std::optional<Vp8Descriptor> before;
    for (const auto& [number, sent] : by_number_) {
      const CodecPatch& patch = sent.out.patch;
      std::vector<uint8_t> payload(patch.bytes.begin(), patch.bytes.begin() + patch.size);
      const ByteView rest = sent.source.packet.payload.subspan(patch.replaces);
      payload.insert(payload.end(), rest.begin(), rest.end());
      const auto now = ParseVp8Descriptor(payload);
      ASSERT_TRUE(now);
      if (before && now->picture_id != before->picture_id) {
        ASSERT_EQ(now->picture_id, (before->picture_id + 1) & 0x7FFF) << "at " << number;
        const int step = now->temporal_id == 0 ? 1 : 0;
        ASSERT_EQ(now->tl0_picture_index, static_cast<uint8_t>(before->tl0_picture_index + step))
            << "at " << number;
      }
      before = now;
    }
  }
  void ExpectDescriptors() const {
    DescriptorReader reader;
    for (const auto& [number, sent] : by_number_) {
      ASSERT_NO_FATAL_FAILURE(reader.Read(0, source_.frames(), sent)) << "at " << number;
    }
  }
  bool Has(size_t frame) const { return packets_of_.contains(frame); }
  const std::map<int64_t, Sent>& packets() const { return by_number_; }

 private:
  uint32_t Picture(const Sent& sent) const { return source_.frames()[sent.source.frame].picture; }

  const LayeredSource& source_;
  std::map<int64_t, Sent> by_number_;
  std::map<size_t, size_t> packets_of_;
};

class LayerSwitch : public ::testing::TestWithParam<Case> {
 protected:
  LayeredSourceOptions Options() const {
    LayeredSourceOptions options;
    options.signal = GetParam().signal;
    options.codec = GetParam().codec;
    options.spatial = GetParam().spatial;
    options.temporal = GetParam().temporal;
    options.key_only = GetParam().key_only;
    options.descriptors = GetParam().descriptors;
    return options;
  }
  SlotForwarder Slot() const {
    return SlotForwarder({true, 90'000, 0x7FF0, 0xFFFFF000, TimestampFromMicros(0)});
  }
  SlotSource Source() const { return {LayerId{1}, 11, GetParam().codec}; }
  bool descriptor() const { return GetParam().signal == LayerSignal::kDescriptor || GetParam().descriptors; }
  LayerTarget Top() const {
    return {static_cast<uint8_t>(GetParam().spatial - 1), static_cast<uint8_t>(GetParam().temporal - 1)};
  }
};

// From every layer to every layer, at every packet of a picture, in each phase of the temporal pattern.
TEST_P(LayerSwitch, AtEveryPacketPosition) {
  const size_t per_picture = size_t{2} * GetParam().spatial;
  for (uint8_t from = 0; from < GetParam().spatial * GetParam().temporal; ++from) {
    for (uint8_t to = 0; to < GetParam().spatial * GetParam().temporal; ++to) {
      const auto layer = [&](uint8_t n) {
        return LayerTarget{static_cast<uint8_t>(n / GetParam().temporal),
                           static_cast<uint8_t>(n % GetParam().temporal)};
      };
      for (size_t position = 0; position < per_picture * 4; ++position) {
        SCOPED_TRACE(std::to_string(from) + " to " + std::to_string(to) + " at " + std::to_string(position));
        LayeredSource source(Options());
        Subscriber subscriber(source);
        SlotForwarder slot = Slot();
        slot.SetLimit(layer(from));
        slot.Bind(Source());
        size_t packet_count = 0;
        const size_t at = 9 * per_picture + position;
        uint32_t changed_in = 0;
        int asked = 0;
        for (uint32_t picture = 0; picture < 30; ++picture) {
          // A keyframe arrives two pictures after the request.
          if (slot.wants_keyframe()) ++asked;
          const bool key = asked == 3;
          if (key) asked = 0;
          for (const LayeredPacket& packet : source.NextPicture(key)) {
            if (packet_count++ == at) {
              slot.SetLimit(layer(to));
              changed_in = picture;
            }
            const auto out = slot.Forward(LayerId{1}, packet.packet);
            if (!out) continue;
            ASSERT_NO_FATAL_FAILURE(subscriber.OnPacket(packet, *out));
          }
        }
        EXPECT_EQ(slot.layer(), layer(to));
        EXPECT_EQ(slot.counters().holes_closed, 0u);
        ASSERT_NO_FATAL_FAILURE(subscriber.ExpectNoHole());
        ASSERT_NO_FATAL_FAILURE(subscriber.ExpectDecodable());
        ASSERT_NO_FATAL_FAILURE(subscriber.ExpectPictures());
        if (descriptor()) {
          ASSERT_NO_FATAL_FAILURE(subscriber.ExpectDescriptors());
        }
        if (GetParam().signal == LayerSignal::kVp8) {
          ASSERT_NO_FATAL_FAILURE(subscriber.ExpectVp8Numbers());
        }
        // Down at once: from the next picture on, nothing is above the new limit (K-SVC: lower spatial layers
        // were not sent and cannot be continued, but the frame rate can be reduced).
        const bool waits = GetParam().key_only;
        for (const LayeredFrame& frame : source.frames()) {
          if (frame.picture <= changed_in || !subscriber.Has(frame.id)) continue;
          ASSERT_LE(frame.temporal, std::max(layer(to).temporal, uint8_t{0}));
          if (!waits) {
            ASSERT_LE(frame.spatial, layer(to).spatial);
          }
        }
        // Frames without references are left out: outside of key pictures, K-SVC sends one layer.
        for (const LayeredFrame& frame : source.frames()) {
          if (!GetParam().key_only || frame.key || frame.picture < 26) continue;
          ASSERT_EQ(subscriber.Has(frame.id),
                    frame.spatial == layer(to).spatial && frame.temporal <= layer(to).temporal);
        }
      }
    }
  }
}

// Limits change at random while packets are reordered.
TEST_P(LayerSwitch, UnderReordering) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    LayeredSource source(Options());
    Subscriber subscriber(source);
    SlotForwarder slot = Slot();
    slot.Bind(Source());
    std::vector<std::pair<int64_t, LayeredPacket>> order;
    int64_t place = 0;
    for (uint32_t picture = 0; picture < 120; ++picture) {
      for (const LayeredPacket& packet : source.NextPicture(picture % 40 == 30)) {
        const bool start = packet.packet.frame.keyframe_start;
        const int64_t late = !start && random.Percent(15) ? random.Between(1, 7) : 0;
        order.emplace_back(2 * place++ + late, packet);
      }
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [at, packet] : order) {
      if (random.Percent(3)) {
        slot.SetLimit({static_cast<uint8_t>(random.Below(GetParam().spatial)),
                       static_cast<uint8_t>(random.Below(GetParam().temporal))});
      }
      const auto out = slot.Forward(LayerId{1}, packet.packet);
      if (!out) continue;
      ASSERT_NO_FATAL_FAILURE(subscriber.OnPacket(packet, *out));
    }
    ASSERT_NO_FATAL_FAILURE(subscriber.ExpectNoHole());
    for (const LayeredFrame& frame : source.frames()) {
      if (frame.spatial == 0 && frame.temporal == 0 && !GetParam().key_only) {
        ASSERT_TRUE(subscriber.Has(frame.id)) << "the base layer always goes on";
      }
    }
    // The stream stays decodable after each change; VP8 forwards a late frame whose number is already missed.
    if (GetParam().signal != LayerSignal::kVp8) continue;
    for (const auto& [number, sent] : subscriber.packets()) {
      EXPECT_TRUE(sent.out.empty || sent.out.patch.size > 0);
    }
  }
}

// The source's RTP time falls back (its camera was replaced): pictures are still distinguished, and layers
// switch down with the next one.
TEST_P(LayerSwitch, AfterAFallOfTheSourcesTime) {
  LayeredSource source(Options());
  Subscriber subscriber(source);
  SlotForwarder slot = Slot();
  slot.Bind(Source());
  for (uint32_t picture = 0; picture < 40; ++picture) {
    if (picture == 24) slot.SetLimit({0, 0});
    for (LayeredPacket& packet : source.NextPicture(slot.wants_keyframe())) {
      if (picture >= 20) packet.packet.timestamp -= 270'000;
      const auto out = slot.Forward(LayerId{1}, packet.packet);
      if (!out) continue;
      ASSERT_NO_FATAL_FAILURE(subscriber.OnPacket(packet, *out));
    }
    if (picture == 19 || picture == 23) {
      EXPECT_EQ(slot.layer(), Top());
    }
    if (picture == 26) {
      EXPECT_EQ(slot.layer(), (LayerTarget{0, 0}));
    }
  }
  ASSERT_NO_FATAL_FAILURE(subscriber.ExpectNoHole());
  ASSERT_NO_FATAL_FAILURE(subscriber.ExpectDecodable());
  ASSERT_NO_FATAL_FAILURE(subscriber.ExpectPictures());
  EXPECT_EQ(slot.counters().time_jumps, 1u);
}

// Hard problem 3: a subscriber's stream never depends on another subscriber's.
TEST_P(LayerSwitch, SubscribersDoNotAffectEachOther) {
  LayeredSource source(Options());
  LayeredSource twin(Options());
  SlotForwarder beside = Slot();
  SlotForwarder alone = Slot();
  SlotForwarder other = Slot();
  Random random(9);
  for (SlotForwarder* slot : {&beside, &alone, &other}) slot->Bind(Source());
  beside.SetLimit({0, 0});
  alone.SetLimit({0, 0});
  for (uint32_t picture = 0; picture < 100; ++picture) {
    const auto packets = source.NextPicture(picture == 50);
    const auto same = twin.NextPicture(picture == 50);
    for (size_t i = 0; i < packets.size(); ++i) {
      if (random.Percent(10)) {
        other.SetLimit({static_cast<uint8_t>(random.Below(GetParam().spatial)),
                        static_cast<uint8_t>(random.Below(GetParam().temporal))});
      }
      other.Forward(LayerId{1}, packets[i].packet);
      const auto a = beside.Forward(LayerId{1}, packets[i].packet);
      const auto b = alone.Forward(LayerId{1}, same[i].packet);
      ASSERT_EQ(a.has_value(), b.has_value());
      if (!a) continue;
      ASSERT_EQ(a->sequence_number, b->sequence_number);
      ASSERT_EQ(a->patch, b->patch);
      ASSERT_EQ(a->descriptor, b->descriptor);
      ASSERT_EQ(a->marker, b->marker);
    }
  }
}

// Three encodings of one camera, whose frames share their numbers as in libwebrtc: a receiver that uses only
// descriptors does not notice the switches.
TEST(EncodingSwitch, DescriptorsContinueFromOneToAnother) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::vector<LayeredSource> sources;
    for (uint16_t i = 0; i < 3; ++i) {
      LayeredSourceOptions options;
      options.descriptors = true;
      options.first_sequence = 70'000 + 1'000 * i;
      options.first_frame_number = static_cast<uint16_t>(65'450 + i);
      options.frame_number_step = 3;
      options.template_offset = static_cast<uint8_t>(random.Below(64));
      sources.emplace_back(options);
    }
    SlotForwarder slot({true, 90'000, 0x7FF0, 0xFFFFF000, TimestampFromMicros(0)});
    DescriptorReader reader(false);
    size_t shown = 0;
    size_t wanted = random.Below(3);
    std::optional<uint16_t> picture_id;
    for (int picture = 0; picture < 200; ++picture) {
      if (random.Percent(10)) wanted = random.Below(3);
      if (random.Percent(10)) slot.SetLimit({0, static_cast<uint8_t>(random.Below(3))});
      for (size_t i = 0; i < sources.size(); ++i) {
        const bool key = i == wanted && (picture == 0 || wanted != shown);
        const auto layer = LayerId{static_cast<uint32_t>(i + 1)};
        for (const LayeredPacket& packet : sources[i].NextPicture(key)) {
          if (key && packet.packet.frame.keyframe_start) {
            slot.Bind({layer, 11, Codec::kVp8});
            shown = i;
          }
          const auto out = slot.Forward(layer, packet.packet);
          if (!out) continue;
          ASSERT_NO_FATAL_FAILURE(reader.Read(static_cast<int>(i), sources[i].frames(), {packet, *out}));
          // The payload's own numbers continue too, for receivers that use them.
          ASSERT_EQ(out->patch.size, 5);
          const auto id = static_cast<uint16_t>((out->patch.bytes[2] << 8 | out->patch.bytes[3]) & 0x7FFF);
          if (picture_id && id != *picture_id) {
            ASSERT_EQ(id, (*picture_id + 1) & 0x7FFF);
          }
          picture_id = id;
        }
      }
    }
    EXPECT_GT(slot.counters().switches, 5u);
  }
}

// The publisher stops its upper layer without notice: a slot that sent only this layer lacks the one below,
// requests a keyframe, and continues.
TEST(LayersThatStop, RequestAKeyframeInKSvc) {
  for (const LayerSignal signal : {LayerSignal::kVp9Flexible, LayerSignal::kVp9NonFlexible}) {
    LayeredSourceOptions options;
    options.signal = signal;
    options.codec = Codec::kVp9;
    options.spatial = 3;
    options.key_only = true;
    LayeredSource source(options);
    SlotForwarder slot({true, 90'000, 7, 9, TimestampFromMicros(0)});
    slot.Bind({LayerId{1}, 11, Codec::kVp9});
    bool asked = false;
    size_t shown_below = 0;
    for (uint32_t picture = 0; picture < 60; ++picture) {
      const bool stopped = picture >= 20;
      const bool key = slot.wants_keyframe();
      asked |= key;
      ASSERT_FALSE(key && !stopped);
      for (LayeredPacket& packet : source.NextPicture(key)) {
        const LayeredFrame& frame = source.frames()[packet.frame];
        if (stopped && frame.spatial == 2) continue;
        packet.packet.sequence_number -= stopped ? (picture - 20) * 2 : 0;
        const auto out = slot.Forward(LayerId{1}, packet.packet);
        if (asked && out && !out->empty && frame.spatial == 1 && !frame.key) ++shown_below;
      }
    }
    EXPECT_TRUE(asked);
    EXPECT_FALSE(slot.wants_keyframe());
    EXPECT_EQ(slot.layer().spatial, 1);
    EXPECT_GT(shown_below, 40u);
  }
}

// A frame of the upper layer that is missing occasionally changes nothing.
TEST(LayersThatStop, DroppedFramesAreNotAStop) {
  LayeredSourceOptions options;
  options.signal = LayerSignal::kVp9NonFlexible;
  options.codec = Codec::kVp9;
  options.spatial = 2;
  options.key_only = true;
  LayeredSource source(options);
  SlotForwarder slot({true, 90'000, 7, 9, TimestampFromMicros(0)});
  slot.Bind({LayerId{1}, 11, Codec::kVp9});
  for (uint32_t picture = 0; picture < 100; ++picture) {
    for (const LayeredPacket& packet : source.NextPicture(false)) {
      const LayeredFrame& frame = source.frames()[packet.frame];
      if (frame.spatial == 1 && frame.temporal == 2 && picture % 3 == 0) continue;
      const auto out = slot.Forward(LayerId{1}, packet.packet);
      if (out && !out->empty && !frame.key) {
        ASSERT_EQ(frame.spatial, 1);
      }
    }
    ASSERT_FALSE(slot.wants_keyframe());
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, LayerSwitch, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace nexus
