#include "engine/codec/payload_inspector.h"

#include "engine/base/overloaded.h"
#include "engine/codec/opus/opus.h"

namespace nexus {
namespace {

void FillVp8(ByteView payload, FrameInfo& frame) {
  const auto descriptor = ParseVp8Descriptor(payload);
  if (!descriptor) return;
  frame.frame_start = descriptor->start_of_partition && descriptor->partition == 0;
  frame.keyframe_start = IsVp8KeyframeStart(*descriptor, payload);
  frame.temporal_id = descriptor->temporal_id;
  frame.switching_up = descriptor->layer_sync;
  frame.descriptor = *descriptor;
}

void FillVp9(ByteView payload, FrameInfo& frame) {
  const auto descriptor = ParseVp9Descriptor(payload);
  if (!descriptor) return;
  frame.frame_start = descriptor->start_of_frame;
  frame.frame_end = descriptor->end_of_frame;
  frame.switching_up = descriptor->switching_up;
  frame.keyframe_start = IsVp9KeyframeStart(*descriptor);
  frame.temporal_id = descriptor->temporal_id;
  frame.spatial_id = descriptor->spatial_id;
  frame.descriptor = *descriptor;
}

}  // namespace

PayloadInspector::PayloadInspector(Codec codec) : codec_(codec), state_(StateFor(codec)) {}

PayloadInspector::State PayloadInspector::StateFor(Codec codec) {
  switch (codec) {
    case Codec::kOpus:
      return Opus{};
    case Codec::kVp8:
      return Vp8{};
    case Codec::kVp9:
      return Vp9{};
    case Codec::kH264:
      return H264Inspector{};
    case Codec::kAv1:
      return Av1Inspector{};
  }
  return Opus{};
}

FrameInfo PayloadInspector::Inspect(ByteView payload, uint32_t rtp_timestamp, bool marker,
                                    ByteView dependency_descriptor) {
  FrameInfo frame;
  frame.frame_end = marker;
  if (payload.empty()) return frame;  // a probe starts nothing
  InspectPayload(payload, rtp_timestamp, frame);
  if (!dependency_descriptor.empty() && IsVideo(codec_)) {
    const bool keyframe_start = frame.keyframe_start;
    InspectDependency(dependency_descriptor, frame);
    JudgePayload(payload, keyframe_start, frame);
  }
  return frame;
}

// An encrypted payload must not be rewritten. A payload is taken for encrypted when the descriptor starts a
// keyframe and the payload does not (a VP8 keyframe has a start code), or when the two disagree on where a
// frame starts or ends. This holds until the next structure.
void PayloadInspector::JudgePayload(ByteView payload, bool keyframe_start, FrameInfo& frame) {
  if (!frame.dependency || !dependency_.structure) return;
  const DependencyDescriptor& dependency = *frame.dependency;
  if (dependency.BeginsKeyframe()) opaque_ = !keyframe_start;
  if (const auto* vp8 = std::get_if<Vp8Descriptor>(&frame.descriptor)) {
    const bool starts = vp8->start_of_partition && vp8->partition == 0;
    opaque_ |= starts != dependency.start_of_frame;
    opaque_ |= dependency.BeginsKeyframe() && !HasVp8StartCode(*vp8, payload);
  }
  if (const auto* vp9 = std::get_if<Vp9Descriptor>(&frame.descriptor)) {
    opaque_ |= vp9->start_of_frame != dependency.start_of_frame;
    opaque_ |= vp9->end_of_frame != dependency.end_of_frame;
  }
  if (!opaque_) return;
  frame.descriptor = std::monostate{};
  frame.switching_up = false;
}

bool PayloadInspector::InspectDependency(ByteView dependency_descriptor, FrameInfo& frame) {
  frame.dependency = ParseDependencyDescriptor(dependency_descriptor, dependency_);
  if (!frame.dependency) return false;
  const DependencyDescriptor& dependency = *frame.dependency;
  // A receiver of AV1 also reads the descriptor, and can begin only with a structure. For other codecs the
  // payload decides until the descriptor's structure is known; after that the payload may be encrypted.
  if (dependency_.structure || codec_ == Codec::kAv1) {
    frame.keyframe_start = dependency.BeginsKeyframe();
    frame.frame_start = dependency.start_of_frame;
    frame.frame_end = dependency.end_of_frame;
  }
  if (!dependency.layer_known) return false;
  frame.spatial_id = dependency.spatial_id;
  frame.temporal_id = dependency.temporal_id;
  return true;
}

void PayloadInspector::InspectPayload(ByteView payload, uint32_t rtp_timestamp, FrameInfo& frame) {
  std::visit(Overloaded{
                 [&](Opus&) {
                   frame.keyframe_start = true;  // every packet can be decoded alone
                   frame.frame_start = true;
                   frame.frame_end = true;
                   frame.dtx = IsOpusDtx(payload);
                 },
                 [&](Vp8&) { FillVp8(payload, frame); },
                 [&](Vp9&) { FillVp9(payload, frame); },
                 [&](H264Inspector& inspector) {
                   const auto result = inspector.Inspect(payload, rtp_timestamp);
                   frame.keyframe_start = result.keyframe_start;
                   frame.frame_start = result.frame_start;
                   frame.bare_idr = result.bare_idr;
                 },
                 [&](Av1Inspector& inspector) {
                   const auto result = inspector.Inspect(payload, rtp_timestamp);
                   frame.keyframe_start = result.keyframe_start;
                   frame.frame_start = result.frame_start;
                 },
             },
             state_);
}

}  // namespace nexus
