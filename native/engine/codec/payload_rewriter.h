// Keeps what payloads and dependency descriptors count (picture ids, TL0PICIDX, frame numbers) continuous for
// one subscriber's slot, whatever source it is bound to. One per slot: two subscribers never see one
// another's rewrite.
#pragma once

#include "engine/codec/av1/descriptor_rewriter.h"
#include "engine/codec/codec.h"
#include "engine/codec/vp8/vp8_rewriter.h"
#include "engine/codec/vp9/vp9_rewriter.h"

namespace nexus {

class PayloadRewriter {
 public:
  // A new source: the next packet begins at the count behind the last one that was sent.
  void Bind(Codec codec);
  // The packet's layer is not sent. Only VP8 closes its numbers up: those of VP9 and of dependency
  // descriptors are counted by the differences between frames.
  void LeaveOut(const FrameInfo& frame);
  // The frame was to be left out, but came so late that its number is already missed.
  bool HasPlace(const FrameInfo& frame) const;
  CodecPatch Rewrite(const FrameInfo& frame, ByteView payload);
  void ForwardDescriptors(bool forward) { descriptor_.Forward(forward); }
  // Of any codec's packet that has a descriptor. `active_targets`: see DescriptorRewriter.
  DescriptorPatch RewriteDescriptor(const FrameInfo& frame, uint16_t active_targets = 0) {
    return frame.dependency ? descriptor_.Rewrite(*frame.dependency, active_targets) : DescriptorPatch{};
  }

 private:
  struct AsItIs {};  // Opus, H.264, AV1
  std::variant<AsItIs, Vp8Rewriter, Vp9Rewriter> state_;
  // Not one of the codec's: a receiver counts frames on when the codec changes.
  DescriptorRewriter descriptor_;
};

}  // namespace nexus
