#include "engine/codec/payload_inspector.h"

#include "engine/codec/opus/opus.h"

namespace nexus {
namespace {

template <class... Visitors>
struct Overload : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overload(Visitors...) -> Overload<Visitors...>;

void FillVp8(ByteView payload, FrameInfo& frame) {
  const auto descriptor = ParseVp8Descriptor(payload);
  if (!descriptor) return;
  frame.frame_start = descriptor->start_of_partition && descriptor->partition == 0;
  frame.keyframe_start = IsVp8KeyframeStart(*descriptor, payload);
  frame.temporal_id = descriptor->temporal_id;
  frame.descriptor = *descriptor;
}

void FillVp9(ByteView payload, FrameInfo& frame) {
  const auto descriptor = ParseVp9Descriptor(payload);
  if (!descriptor) return;
  frame.frame_start = descriptor->start_of_frame;
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
  if (payload.empty()) return frame;  // a probe begins nothing
  std::visit(Overload{
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
                 },
                 [&](Av1Inspector& inspector) {
                   const auto result = inspector.Inspect(payload, rtp_timestamp, dependency_descriptor);
                   frame.keyframe_start = result.keyframe_start;
                   frame.frame_start = result.frame_start;
                   if (!result.descriptor) return;
                   frame.temporal_id = result.descriptor->temporal_id;
                   frame.spatial_id = result.descriptor->spatial_id;
                   frame.descriptor = *result.descriptor;
                 },
             },
             state_);
  return frame;
}

}  // namespace nexus
