// The codecs that are forwarded, and what a slot must know about one packet of any of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "engine/codec/av1/dependency_descriptor.h"
#include "engine/codec/vp8/vp8_descriptor.h"
#include "engine/codec/vp9/vp9_descriptor.h"

namespace nexus {

enum class Codec : uint8_t { kOpus, kVp8, kVp9, kH264, kAv1 };

// By the encoding name of SDP ("VP8", any case); "red" is carried as audio and is not a codec of its own.
std::optional<Codec> CodecFromName(std::string_view name);
std::string_view CodecName(Codec codec);
constexpr bool IsVideo(Codec codec) { return codec != Codec::kOpus; }

// Worked out once per published packet and shared by all its subscribers.
struct FrameInfo {
  bool keyframe_start = false;  // a decoder that has seen nothing can begin with this packet
  bool frame_start = false;     // as far as the payload tells; of SVC: of a layer's frame
  bool frame_end = false;       // the marker; of SVC: of a layer's frame
  // H.264: an IDR slice begins here, and no parameter sets have come in front of it; and when they are
  // remembered from before: who begins with this packet has to get them first (remembered_sets.h).
  bool bare_idr = false;
  bool needs_parameter_sets = false;
  bool dtx = false;           // audio: comfort noise or nothing to hear
  bool switching_up = false;  // from here on a higher temporal layer can be decoded (VP8 Y, VP9 U)
  uint8_t temporal_id = 0;
  uint8_t spatial_id = 0;
  // None where the payload cannot be read: it is encrypted, or not of its codec.
  std::variant<std::monostate, Vp8Descriptor, Vp9Descriptor> descriptor;
  // Of any codec, when the packet has one that can be read. Layers and keyframes are then told by it alone.
  std::optional<DependencyDescriptor> dependency;
};

// What a slot changes in a payload (VP8, VP9): `bytes` stand in the place of its first `replaces` bytes.
struct CodecPatch {
  uint8_t size = 0;
  uint8_t replaces = 0;
  std::array<uint8_t, 6> bytes{};
  friend bool operator==(const CodecPatch&, const CodecPatch&) = default;
};

// What a slot changes in a packet's dependency descriptor (see descriptor_rewrite.h).
struct DescriptorPatch {
  bool forwarded = false;  // else the packet goes without one
  uint8_t template_id = 0;
  uint16_t frame_number = 0;
  uint16_t active_targets = 0;  // decode targets that are forwarded, as a bitmask; 0: as the source says
  friend bool operator==(const DescriptorPatch&, const DescriptorPatch&) = default;
};

}  // namespace nexus
