// AV1. Hard problem 18: dependency descriptor: template wrap, missing structure, attempts to read out of
// bounds.
#include <gtest/gtest.h>

#include <vector>

#include "engine/codec/av1/av1_inspector.h"
#include "engine/codec/av1/descriptor_rewrite.h"
#include "engine/codec/av1/descriptor_rewriter.h"
#include "engine/codec/payload_inspector.h"
#include "testing/random.h"
#include "testing/rtp_capture.h"

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

class BitWriter {
 public:
  BitWriter& Put(uint32_t value, unsigned count) {
    for (unsigned i = count; i > 0; --i) {
      if (position_ % 8 == 0) bytes_.push_back(0);
      bytes_.back() = static_cast<uint8_t>(bytes_.back() | (value >> (i - 1) & 1) << (7 - position_ % 8));
      ++position_;
    }
    return *this;
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
  size_t position_ = 0;
};

// L1T2: two templates of temporal layers 0 and 1, two decode targets, one chain.
Bytes WithStructure(uint8_t template_id, uint16_t frame_number, uint8_t offset) {
  BitWriter bits;
  bits.Put(1, 1).Put(1, 1).Put(template_id, 6).Put(frame_number, 16);
  bits.Put(1, 1).Put(0, 4);                      // structure, no other flags
  bits.Put(offset, 6).Put(1, 5);                 // two decode targets
  bits.Put(1, 2).Put(3, 2);                      // next temporal layer, end
  bits.Put(0xAB, 8);                             // 2 templates x 2 targets x 2 bits
  bits.Put(0, 1).Put(1, 1).Put(1, 4).Put(0, 1);  // fdiffs: none; one
  bits.Put(1, 1).Put(0, 1);                      // chain_cnt = ns(3): 1 is coded "10"
  bits.Put(0, 8);                                // 2 templates x 1 chain x 4 bits, ns(1) needs no bits
  bits.Put(1, 1).Put(639, 16).Put(359, 16);      // resolution
  return bits.bytes();
}

Bytes Plain(uint8_t template_id, uint16_t frame_number) {
  return {static_cast<uint8_t>(0xC0 | template_id), static_cast<uint8_t>(frame_number >> 8),
          static_cast<uint8_t>(frame_number)};
}

TEST(DependencyDescriptor, ReadsTheStructure) {
  DependencyState state;
  const Bytes value = WithStructure(62, 7, 62);
  const auto descriptor = ParseDependencyDescriptor(value, state);
  ASSERT_TRUE(descriptor);
  EXPECT_TRUE(descriptor->has_structure);
  EXPECT_EQ(descriptor->frame_number, 7);
  EXPECT_EQ(descriptor->template_id_offset, 62);
  ASSERT_TRUE(state.structure);
  EXPECT_EQ(state.structure->template_count, 2);
  EXPECT_EQ(state.structure->decode_target_count, 2);
  EXPECT_EQ(state.structure->chain_count, 1);
  // Template ids count modulo 64.
  EXPECT_EQ(ParseDependencyDescriptor(Plain(63, 8), state)->temporal_id, 1);
  EXPECT_TRUE(ParseDependencyDescriptor(Plain(63, 8), state)->layer_known);
  EXPECT_FALSE(ParseDependencyDescriptor(Plain(0, 8), state)->layer_known);
}

TEST(DependencyDescriptor, WithoutItsStructureOnlyTheCountersAreKnown) {
  DependencyState state;
  const auto descriptor = ParseDependencyDescriptor(Plain(5, 300), state);
  ASSERT_TRUE(descriptor);
  EXPECT_FALSE(descriptor->layer_known);
  EXPECT_EQ(descriptor->frame_number, 300);
}

TEST(DependencyDescriptor, ATruncatedStructureChangesNothing) {
  const Bytes whole = WithStructure(0, 7, 0);
  for (size_t size = 0; size < whole.size(); ++size) {
    DependencyState state;
    const Bytes cut(whole.begin(), whole.begin() + static_cast<long>(size));
    const auto descriptor = ParseDependencyDescriptor(cut, state);
    EXPECT_EQ(descriptor.has_value(), size == 3) << size;
    EXPECT_FALSE(state.structure) << size;
  }
}

// More templates than ids or more layers than possible are rejected, not written past the arrays (mediasoup
// #1868).
TEST(DependencyDescriptor, RejectsTooManyTemplatesOrLayers) {
  for (const uint32_t next_layer : {0u, 1u, 2u}) {
    BitWriter bits;
    bits.Put(3, 2).Put(0, 6).Put(1, 16).Put(1, 1).Put(0, 4).Put(0, 6).Put(0, 5);
    for (int i = 0; i < 500; ++i) bits.Put(next_layer, 2);
    DependencyState state;
    EXPECT_FALSE(ParseDependencyDescriptor(bits.bytes(), state));
    EXPECT_FALSE(state.structure);
  }
}

TEST(DependencyDescriptor, SurvivesRandomBytes) {
  testing::Random random(3);
  DependencyState state;
  size_t parsed = 0;
  for (int round = 0; round < 50'000; ++round) {
    Bytes value(random.Below(60));
    for (uint8_t& byte : value) byte = static_cast<uint8_t>(random.Next());
    if (const auto descriptor = ParseDependencyDescriptor(value, state)) {
      ++parsed;
      DescriptorRewriter rewriter;
      rewriter.Bind();
      const DescriptorPatch patch = rewriter.Rewrite(*descriptor, static_cast<uint16_t>(random.Next()));
      Bytes out(value.size() + kMaxDescriptorGrowth);
      WriteRewrittenDescriptor(value, *descriptor, patch, out);
    }
    if (state.structure) {
      ASSERT_LE(state.structure->template_count, kMaxDdTemplates);
    }
  }
  EXPECT_GT(parsed, 1000u);
}

DependencyDescriptor Rewritten(DescriptorRewriter& rewriter, const Bytes& value, DependencyState& source,
                               DependencyState& receiver, uint16_t targets = 0) {
  const auto descriptor = ParseDependencyDescriptor(value, source);
  EXPECT_TRUE(descriptor);
  Bytes buffer(value.size() + kMaxDescriptorGrowth);
  const DescriptorPatch patch = rewriter.Rewrite(*descriptor, targets);
  const ByteView written = WriteRewrittenDescriptor(value, *descriptor, patch, buffer);
  EXPECT_FALSE(written.empty());
  const auto out = ParseDependencyDescriptor(written, receiver);
  EXPECT_TRUE(out);
  return out.value_or(DependencyDescriptor{});
}

TEST(DescriptorRewriter, FrameNumbersContinueAndTemplatesDoNotOverlap) {
  DescriptorRewriter rewriter;
  DependencyState receiver;
  uint16_t expected = 65'500;
  uint8_t last_offset = 0;
  for (int binding = 0; binding < 40; ++binding) {
    DependencyState source;
    rewriter.Bind();
    const uint16_t start = binding == 0 ? 65'500 : static_cast<uint16_t>(binding * 777);
    const uint8_t offset = static_cast<uint8_t>(binding * 13 % 64);
    auto out = Rewritten(rewriter, WithStructure(offset, start, offset), source, receiver);
    EXPECT_EQ(out.frame_number, expected++);
    EXPECT_TRUE(out.has_structure);
    EXPECT_TRUE(out.layer_known);
    if (binding > 0) {
      EXPECT_EQ(out.template_id_offset, (last_offset + 2) % 64);
    }
    last_offset = out.template_id_offset;
    for (uint16_t i = 1; i < 20; ++i) {
      const uint8_t id = static_cast<uint8_t>((offset + i % 2) % 64);
      out = Rewritten(rewriter, Plain(id, static_cast<uint16_t>(start + i)), source, receiver);
      EXPECT_EQ(out.frame_number, expected++);
      EXPECT_TRUE(out.layer_known);
      EXPECT_EQ(out.temporal_id, i % 2);
    }
  }
}

TEST(Av1Payload, FindsTheSequenceHeader) {
  // W = 2: sequence header with a length, then the rest
  const auto first = ParseAv1Payload(Bytes{0x28, 2, 0x08, 0xAA, 0x30, 1, 2});
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->new_sequence);
  EXPECT_TRUE(first->sequence_header);
  // Z: the apparent header continues another OBU
  const auto continued = ParseAv1Payload(Bytes{0x90, 0x08, 1});
  EXPECT_TRUE(continued->continues);
  EXPECT_FALSE(continued->sequence_header);
  EXPECT_FALSE(ParseAv1Payload(Bytes{0x00, 9, 1}));
  EXPECT_FALSE(ParseAv1Payload(Bytes{0x00}));
  EXPECT_FALSE(ParseAv1Payload({}));
  EXPECT_FALSE(ParseAv1Payload(Bytes{0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}));
}

TEST(PayloadInspector, WithDescriptorsAKeyframeNeedsTheStructure) {
  PayloadInspector inspector(Codec::kAv1);
  const Bytes key = {0x18, 0x08, 0xAA};
  EXPECT_TRUE(inspector.Inspect(key, 1, true, {}).keyframe_start);
  EXPECT_FALSE(inspector.Inspect(key, 1, true, Plain(0, 1)).keyframe_start);
  EXPECT_TRUE(inspector.Inspect(key, 1, true, WithStructure(0, 2, 0)).keyframe_start);
}

// End-to-end encryption: the payload of any codec is noise, so only the descriptor shows keyframes and
// layers.
TEST(PayloadInspector, ReadsLayersAndKeyframesOfEncryptedPayloads) {
  testing::Random random(5);
  for (const Codec codec : {Codec::kVp8, Codec::kVp9, Codec::kH264, Codec::kAv1}) {
    PayloadInspector inspector(codec);
    for (int i = 0; i < 300; ++i) {
      Bytes payload(40);
      for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random.Next());
      const bool key = i % 50 == 0;
      const auto number = static_cast<uint16_t>(i);
      const auto id = static_cast<uint8_t>(i % 2);
      const FrameInfo frame = inspector.Inspect(payload, static_cast<uint32_t>(i), true,
                                                key ? WithStructure(0, number, 0) : Plain(id, number));
      ASSERT_EQ(frame.keyframe_start, key) << i;
      ASSERT_EQ(frame.temporal_id, id) << i;
    }
  }
}

// A delta frame's packet overtakes the keyframe with its structure.
TEST(PayloadInspector, InspectsPacketsAgainThatOvertookTheirStructure) {
  PayloadInspector inspector(Codec::kAv1);
  const Bytes payload(10, 0);
  FrameInfo early = inspector.Inspect(payload, 2, true, Plain(41, 8));
  EXPECT_FALSE(early.dependency->layer_known);
  inspector.Inspect(payload, 1, true, WithStructure(40, 7, 40));
  EXPECT_TRUE(inspector.InspectDependency(Plain(41, 8), early));
  EXPECT_EQ(early.temporal_id, 1);
}

TEST(DependencyDescriptor, ReadsCustomFieldsOfAFrame) {
  DependencyState state;
  ASSERT_TRUE(ParseDependencyDescriptor(WithStructure(0, 1, 0), state));
  BitWriter bits;
  bits.Put(3, 2).Put(1, 6).Put(9, 16);
  bits.Put(0, 1).Put(1, 1).Put(7, 3).Put(1, 2);  // bitmask, all three custom: only target 0 is active
  bits.Put(0b0010, 4);                           // indications: not present, switch
  bits.Put(1, 2).Put(2, 4).Put(2, 2).Put(99, 8).Put(3, 2).Put(4095, 12).Put(0, 2);
  bits.Put(200, 8);
  const auto frame = ParseDependencyDescriptor(bits.bytes(), state);
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->has_active_targets);
  EXPECT_EQ(frame->active_targets, 1u);
  EXPECT_EQ(frame->indications.of(0), DecodeTargetIndication::kNotPresent);
  EXPECT_EQ(frame->indications.of(1), DecodeTargetIndication::kSwitch);
  ASSERT_EQ(frame->frame_diffs.count, 3);
  EXPECT_EQ(frame->frame_diffs.values[0], 3);
  EXPECT_EQ(frame->frame_diffs.values[1], 100);
  EXPECT_EQ(frame->frame_diffs.values[2], 4096);
  EXPECT_EQ(frame->chain_diff[0], 200);
  // The bitmask is valid until the next structure.
  EXPECT_EQ(ParseDependencyDescriptor(Plain(0, 10), state)->active_targets, 1u);
  EXPECT_EQ(ParseDependencyDescriptor(WithStructure(0, 11, 0), state)->active_targets, 3u);
}

// More frame differences than possible are rejected.
TEST(DependencyDescriptor, RejectsTooManyFrameDifferences) {
  DependencyState state;
  ASSERT_TRUE(ParseDependencyDescriptor(WithStructure(0, 1, 0), state));
  BitWriter bits;
  bits.Put(3, 2).Put(1, 6).Put(9, 16).Put(0, 2).Put(2, 3);
  for (int i = 0; i < 40; ++i) bits.Put(1, 2).Put(2, 4);
  EXPECT_FALSE(ParseDependencyDescriptor(bits.bytes(), state));
}

// Hard problem 18: each subscriber gets its own bitmask, in packets with and without one.
TEST(DescriptorRewriter, GivesEachSubscriberItsOwnActiveTargets) {
  DescriptorRewriter whole;
  DescriptorRewriter low;
  DependencyState source[2];
  DependencyState receiver[2];
  for (int i = 0; i < 100; ++i) {
    const bool key = i % 40 == 0;
    const auto number = static_cast<uint16_t>(65'490 + i);
    const Bytes value = key ? WithStructure(30, number, 30) : Plain(static_cast<uint8_t>(30 + i % 2), number);
    EXPECT_EQ(Rewritten(whole, value, source[0], receiver[0]).active_targets, 3u);
    const auto out = Rewritten(low, value, source[1], receiver[1], 1);
    EXPECT_EQ(out.active_targets, 1u);
    EXPECT_EQ(out.layer_known, true);
    EXPECT_EQ(out.temporal_id, key ? 0 : i % 2);
    EXPECT_EQ(out.frame_number, number);
    EXPECT_EQ(out.resolution.width, 640u);
  }
}

}  // namespace
}  // namespace nexus
