// VP8 descriptor and rewriting. Hard problem 3: 7- and 15-bit picture ids, wraps, dropped layers, two
// subscribers.
#include <gtest/gtest.h>

#include <vector>

#include "engine/codec/vp8/vp8_rewriter.h"

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Payload(std::optional<uint32_t> picture_id, unsigned bits, std::optional<uint8_t> tl0,
              bool keyframe = false) {
  Bytes payload = {0x90, 0};
  if (picture_id) {
    payload[1] |= 0x80;
    if (bits == 15) payload.push_back(static_cast<uint8_t>(0x80 | (*picture_id >> 8 & 0x7F)));
    payload.push_back(static_cast<uint8_t>(bits == 15 ? *picture_id : *picture_id & 0x7F));
  }
  if (tl0) {
    payload[1] |= 0x40 | 0x20;
    payload.push_back(*tl0);
    payload.push_back(0x60);  // TID 1, Y
  }
  payload.push_back(keyframe ? 0x00 : 0x01);
  payload.push_back(0x42);
  return payload;
}

Bytes Apply(Vp8Rewriter& rewriter, const Bytes& payload) {
  const auto descriptor = ParseVp8Descriptor(payload);
  EXPECT_TRUE(descriptor);
  const CodecPatch patch = rewriter.Rewrite(*descriptor, payload);
  Bytes out(patch.bytes.begin(), patch.bytes.begin() + patch.size);
  out.insert(out.end(), payload.begin() + patch.replaces, payload.end());
  return out;
}

TEST(Vp8Descriptor, ReadsAllFields) {
  const Bytes payload = {0xB3, 0xF0, 0x81, 0x02, 0x07, 0xBF, 0x00};
  const auto descriptor = ParseVp8Descriptor(payload);
  ASSERT_TRUE(descriptor);
  EXPECT_TRUE(descriptor->non_reference);
  EXPECT_TRUE(descriptor->start_of_partition);
  EXPECT_EQ(descriptor->partition, 3);
  EXPECT_EQ(descriptor->picture_id_bits, 15);
  EXPECT_EQ(descriptor->picture_id, 0x102);
  EXPECT_EQ(descriptor->tl0_picture_index, 7);
  EXPECT_EQ(descriptor->temporal_id, 2);
  EXPECT_TRUE(descriptor->layer_sync);
  EXPECT_EQ(descriptor->size, 6);
  for (size_t size = 0; size < payload.size(); ++size) {
    EXPECT_FALSE(ParseVp8Descriptor(ByteView(payload).first(size))) << size;
  }
}

TEST(Vp8Keyframe, IsTheFirstPacketOfAnIntraFrame) {
  const Bytes key = Payload(1, 7, 1, true);
  EXPECT_TRUE(IsVp8KeyframeStart(*ParseVp8Descriptor(key), key));
  const Bytes delta = Payload(1, 7, 1, false);
  EXPECT_FALSE(IsVp8KeyframeStart(*ParseVp8Descriptor(delta), delta));
  Bytes continued = key;
  continued[0] = 0x80;
  EXPECT_FALSE(IsVp8KeyframeStart(*ParseVp8Descriptor(continued), continued));
}

TEST(Vp8Rewriter, ContinuesAcrossSourcesOfAnyWidth) {
  for (uint32_t start : {0u, 100u, 127u, 0x7FF0u, 0x7FFFu}) {
    for (const unsigned second_bits : {7u, 15u}) {
      Vp8Rewriter rewriter;
      rewriter.Bind();
      uint32_t expected = start;
      uint8_t expected_tl0 = 250;
      for (uint32_t i = 0; i < 300; ++i, ++expected, ++expected_tl0) {
        const Bytes out = Apply(rewriter, Payload((start + i) & 0x7FFF, 15, static_cast<uint8_t>(250 + i)));
        const auto descriptor = ParseVp8Descriptor(out);
        ASSERT_TRUE(descriptor);
        ASSERT_EQ(descriptor->picture_id_bits, 15);
        ASSERT_EQ(descriptor->picture_id, expected & 0x7FFF);
        ASSERT_EQ(descriptor->tl0_picture_index, expected_tl0);
        ASSERT_EQ(out.back(), 0x42);
      }
      rewriter.Bind();
      for (uint32_t i = 0; i < 300; ++i, ++expected, ++expected_tl0) {
        const Bytes out = Apply(rewriter, Payload((55 + i) & ((1u << second_bits) - 1), second_bits,
                                                  static_cast<uint8_t>(9 + i)));
        const auto descriptor = ParseVp8Descriptor(out);
        ASSERT_TRUE(descriptor);
        ASSERT_EQ(descriptor->picture_id_bits, 15);
        ASSERT_EQ(descriptor->picture_id, expected & 0x7FFF) << i;
        ASSERT_EQ(descriptor->tl0_picture_index, expected_tl0);
        ASSERT_EQ(descriptor->temporal_id, 1);
      }
    }
  }
}

TEST(Vp8Rewriter, ALatePacketKeepsItsPicture) {
  Vp8Rewriter rewriter;
  rewriter.Bind();
  const Bytes a = Apply(rewriter, Payload(127, 7, 255));
  const Bytes c = Apply(rewriter, Payload(1, 7, 1));
  const Bytes b = Apply(rewriter, Payload(0, 7, 0));
  EXPECT_EQ(ParseVp8Descriptor(b)->picture_id, (ParseVp8Descriptor(a)->picture_id + 1) & 0x7FFF);
  EXPECT_EQ(ParseVp8Descriptor(c)->picture_id, (ParseVp8Descriptor(a)->picture_id + 2) & 0x7FFF);
  rewriter.Bind();
  const Bytes next = Apply(rewriter, Payload(9000, 15, 77));
  EXPECT_EQ(ParseVp8Descriptor(next)->picture_id, (ParseVp8Descriptor(c)->picture_id + 1) & 0x7FFF);
}

TEST(Vp8Rewriter, TwoSubscribersDoNotAffectEachOther) {
  const Bytes source = Payload(500, 15, 5);
  const Bytes before = source;
  Vp8Rewriter one;
  Vp8Rewriter two;
  one.Bind();
  two.Bind();
  Apply(one, Payload(10, 15, 1));
  one.Bind();
  EXPECT_EQ(ParseVp8Descriptor(Apply(one, source))->picture_id, 11);
  EXPECT_EQ(ParseVp8Descriptor(Apply(two, source))->picture_id, 500);
  EXPECT_EQ(source, before);
}

TEST(Vp8Rewriter, DoesNotChangeADescriptorWithoutCounters) {
  Vp8Rewriter rewriter;
  rewriter.Bind();
  const Bytes bare = {0x10, 0x00, 1, 2};
  EXPECT_EQ(Apply(rewriter, bare), bare);
  const Bytes temporal_only = {0x90, 0x20, 0x40, 0x01, 2};
  EXPECT_EQ(Apply(rewriter, temporal_only), temporal_only);
}

}  // namespace
}  // namespace nexus
