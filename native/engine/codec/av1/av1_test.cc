// AV1. Hard problem 18: dependency descriptor: template wrap, missing structure, attempts to read out of
// bounds.
#include <gtest/gtest.h>

#include <vector>

#include "engine/codec/av1/av1_inspector.h"
#include "engine/codec/av1/av1_rewriter.h"
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
  bits.Put(1, 2).Put(3, 2);                      // next temporal layer, no more
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
  std::optional<DependencyStructure> structure;
  const Bytes value = WithStructure(62, 7, 62);
  const auto descriptor = ParseDependencyDescriptor(value, structure);
  ASSERT_TRUE(descriptor);
  EXPECT_TRUE(descriptor->has_structure);
  EXPECT_EQ(descriptor->frame_number, 7);
  EXPECT_EQ(descriptor->template_id_offset, 62);
  ASSERT_TRUE(structure);
  EXPECT_EQ(structure->template_count, 2);
  EXPECT_EQ(structure->decode_target_count, 2);
  EXPECT_EQ(structure->chain_count, 1);
  // Template ids count modulo 64.
  EXPECT_EQ(ParseDependencyDescriptor(Plain(63, 8), structure)->temporal_id, 1);
  EXPECT_TRUE(ParseDependencyDescriptor(Plain(63, 8), structure)->layer_known);
  EXPECT_FALSE(ParseDependencyDescriptor(Plain(0, 8), structure)->layer_known);
}

TEST(DependencyDescriptor, WithoutItsStructureOnlyTheCountersAreKnown) {
  std::optional<DependencyStructure> structure;
  const auto descriptor = ParseDependencyDescriptor(Plain(5, 300), structure);
  ASSERT_TRUE(descriptor);
  EXPECT_FALSE(descriptor->layer_known);
  EXPECT_EQ(descriptor->frame_number, 300);
}

TEST(DependencyDescriptor, ACutStructureChangesNothing) {
  const Bytes whole = WithStructure(0, 7, 0);
  for (size_t size = 0; size < whole.size(); ++size) {
    std::optional<DependencyStructure> structure;
    const Bytes cut(whole.begin(), whole.begin() + static_cast<long>(size));
    const auto descriptor = ParseDependencyDescriptor(cut, structure);
    EXPECT_EQ(descriptor.has_value(), size == 3) << size;
    EXPECT_FALSE(structure) << size;
  }
}

// More templates than ids, more layers than there are: refused, not written past the arrays (mediasoup
// #1868).
TEST(DependencyDescriptor, TooManyTemplatesOrLayersAreRefused) {
  for (const uint32_t next_layer : {0u, 1u, 2u}) {
    BitWriter bits;
    bits.Put(3, 2).Put(0, 6).Put(1, 16).Put(1, 1).Put(0, 4).Put(0, 6).Put(0, 5);
    for (int i = 0; i < 500; ++i) bits.Put(next_layer, 2);
    std::optional<DependencyStructure> structure;
    EXPECT_FALSE(ParseDependencyDescriptor(bits.bytes(), structure));
    EXPECT_FALSE(structure);
  }
}

TEST(DependencyDescriptor, SurvivesRandomBytes) {
  testing::Random random(3);
  std::optional<DependencyStructure> structure;
  size_t parsed = 0;
  for (int round = 0; round < 50'000; ++round) {
    Bytes value(random.Below(60));
    for (uint8_t& byte : value) byte = static_cast<uint8_t>(random.Next());
    if (const auto descriptor = ParseDependencyDescriptor(value, structure)) {
      ++parsed;
      Av1Rewriter rewriter;
      rewriter.Bind();
      ASSERT_LE(rewriter.Rewrite(*descriptor, value).replaces, value.size());
    }
    if (structure) {
      ASSERT_LE(structure->template_count, kMaxDdTemplates);
    }
  }
  EXPECT_GT(parsed, 1000u);
}

DependencyDescriptor Rewritten(Av1Rewriter& rewriter, Bytes value, std::optional<DependencyStructure>& source,
                               std::optional<DependencyStructure>& receiver) {
  const auto descriptor = ParseDependencyDescriptor(value, source);
  EXPECT_TRUE(descriptor);
  const CodecPatch patch = rewriter.Rewrite(*descriptor, value);
  EXPECT_EQ(patch.size, patch.replaces);
  std::copy(patch.bytes.begin(), patch.bytes.begin() + patch.size, value.begin());
  const auto out = ParseDependencyDescriptor(value, receiver);
  EXPECT_TRUE(out);
  return out.value_or(DependencyDescriptor{});
}

TEST(Av1Rewriter, FrameNumbersGoOnAndTemplatesDoNotOverlap) {
  Av1Rewriter rewriter;
  std::optional<DependencyStructure> receiver;
  uint16_t expected = 65'500;
  uint8_t last_offset = 0;
  for (int binding = 0; binding < 40; ++binding) {
    std::optional<DependencyStructure> source;
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
  // Z: what looks like a header continues another OBU
  const auto continued = ParseAv1Payload(Bytes{0x90, 0x08, 1});
  EXPECT_TRUE(continued->continues);
  EXPECT_FALSE(continued->sequence_header);
  EXPECT_FALSE(ParseAv1Payload(Bytes{0x00, 9, 1}));
  EXPECT_FALSE(ParseAv1Payload(Bytes{0x00}));
  EXPECT_FALSE(ParseAv1Payload({}));
  EXPECT_FALSE(ParseAv1Payload(Bytes{0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}));
}

TEST(Av1Inspector, WithDescriptorsAKeyframeNeedsTheStructure) {
  Av1Inspector inspector;
  const Bytes key = {0x18, 0x08, 0xAA};
  EXPECT_TRUE(inspector.Inspect(key, 1, {}).keyframe_start);
  EXPECT_FALSE(inspector.Inspect(key, 1, Plain(0, 1)).keyframe_start);
  EXPECT_TRUE(inspector.Inspect(key, 1, WithStructure(0, 2, 0)).keyframe_start);
}

}  // namespace
}  // namespace nexus
