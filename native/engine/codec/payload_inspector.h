// Looks at the payloads of one published layer, in arrival order, and says what each packet is. Keeps what
// only earlier packets tell: the template structure of dependency descriptors, H.264 parameter sets.
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
  // Once more, for a packet that overtook the structure it needs. False: still unknown.
  bool InspectDependency(ByteView dependency_descriptor, FrameInfo& frame);
  // What the last descriptor with a structure said; null before.
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
  bool opaque_ = false;  // payloads contradict their descriptors: they are encrypted
};

}  // namespace nexus
