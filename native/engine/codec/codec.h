// The codecs that are forwarded, and the properties of a packet that a slot needs, for all codecs.
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

// Finds a codec by its SDP encoding name ("VP8", in any case); "red" is carried as audio and is not a
// separate codec.
std::optional<Codec> CodecFromName(std::string_view name);
std::string_view CodecName(Codec codec);
constexpr bool IsVideo(Codec codec) { return codec != Codec::kOpus; }

// Computed once per published packet and shared by all its subscribers.
struct FrameInfo {
  bool keyframe_start = false;  // a decoder without earlier frames can begin here
  bool frame_start = false;     // as far as the payload shows it; in SVC: of a layer's frame
  bool frame_end = false;       // the marker; in SVC: of a layer's frame
  // H.264: an IDR slice begins here without parameter sets before it. If they are known from before, a viewer
  // that begins with this packet needs them first (remembered_sets.h).
  bool bare_idr = false;
  bool needs_parameter_sets = false;
  bool dtx = false;           // audio: comfort noise or silence
  bool switching_up = false;  // a higher temporal layer can be decoded from here on (VP8 Y, VP9 U)
  uint8_t temporal_id = 0;
  uint8_t spatial_id = 0;
  // None if the payload cannot be read, because it is encrypted or not of its codec.
  std::variant<std::monostate, Vp8Descriptor, Vp9Descriptor> descriptor;
  // Set for any codec if the packet has a readable descriptor, which then determines layers and keyframes.
  std::optional<DependencyDescriptor> dependency;
};

// A slot's change of a payload (VP8, VP9): `bytes` replace its first `replaces` bytes.
struct CodecPatch {
  uint8_t size = 0;
  uint8_t replaces = 0;
  std::array<uint8_t, 6> bytes{};
  friend bool operator==(const CodecPatch&, const CodecPatch&) = default;
};

// A slot's change of a packet's dependency descriptor (see descriptor_rewrite.h).
struct DescriptorPatch {
  bool forwarded = false;  // otherwise the packet is sent without one
  uint8_t template_id = 0;
  uint16_t frame_number = 0;
  uint16_t active_targets = 0;  // bitmask of the forwarded decode targets; 0: the source's own
  friend bool operator==(const DescriptorPatch&, const DescriptorPatch&) = default;
};

}  // namespace nexus
