// Keeps the counters of payloads and dependency descriptors (picture ids, TL0PICIDX, frame numbers)
// continuous for one slot of a subscriber, whatever source it is bound to. Each slot has its own, so that
// subscribers do not affect each other.
#pragma once

#include "engine/codec/av1/descriptor_rewriter.h"
#include "engine/codec/codec.h"
#include "engine/codec/vp8/vp8_rewriter.h"
#include "engine/codec/vp9/vp9_rewriter.h"

namespace nexus {

class PayloadRewriter {
 public:
  // Starts a new source: the next packet continues after the last counter that was sent.
  void Bind(Codec codec);
  // The packet's layer is not sent. Only VP8 closes up its numbers: those of VP9 and of dependency
  // descriptors are referred to by differences between frames.
  void LeaveOut(const FrameInfo& frame);
  // True if the frame should be left out, but is so late that its number is already missed.
  bool HasPlace(const FrameInfo& frame) const;
  CodecPatch Rewrite(const FrameInfo& frame, ByteView payload);
  void ForwardDescriptors(bool forward) { descriptor_.Forward(forward); }
  // Rewrites the descriptor of a packet of any codec. `active_targets`: see DescriptorRewriter.
  DescriptorPatch RewriteDescriptor(const FrameInfo& frame, uint16_t active_targets = 0) {
    return frame.dependency ? descriptor_.Rewrite(*frame.dependency, active_targets) : DescriptorPatch{};
  }

 private:
  struct AsItIs {};  // Opus, H.264, AV1
  std::variant<AsItIs, Vp8Rewriter, Vp9Rewriter> state_;
  // Independent of the codec, because a receiver continues counting frames when the codec changes.
  DescriptorRewriter descriptor_;
};

}  // namespace nexus
