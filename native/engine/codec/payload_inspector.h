// Inspects the payloads of one published layer in arrival order. Its state is the information from earlier
// packets: the template structure of dependency descriptors, and whether H.264 parameter sets were sent.
#pragma once

#include "engine/base/bytes.h"
#include "engine/codec/av1/av1_inspector.h"
#include "engine/codec/codec.h"
#include "engine/codec/h264/h264_inspector.h"

namespace nexus {

class PayloadInspector {
 public:
  explicit PayloadInspector(Codec codec);
  Codec codec() const { return codec_; }
  // `dependency_descriptor` is the extension's value, empty when absent.
  FrameInfo Inspect(ByteView payload, uint32_t rtp_timestamp, bool marker, ByteView dependency_descriptor);
  // Repeats the inspection for a packet that overtook its structure. False if it is still unknown.
  bool InspectDependency(ByteView dependency_descriptor, FrameInfo& frame);
  // The last structure of a descriptor; null before the first.
  const DependencyStructure* structure() const {
    return dependency_.structure ? &*dependency_.structure : nullptr;
  }

 private:
  struct Opus {};
  struct Vp8 {};
  struct Vp9 {};
  using State = std::variant<Opus, Vp8, Vp9, H264Inspector, Av1Inspector>;
  static State StateFor(Codec codec);

  void InspectPayload(ByteView payload, uint32_t rtp_timestamp, FrameInfo& frame);
  void JudgePayload(ByteView payload, bool keyframe_start, FrameInfo& frame);

  Codec codec_;
  State state_;
  DependencyState dependency_;
  bool opaque_ = false;  // payloads contradict their descriptors, so they are encrypted
};

}  // namespace nexus
