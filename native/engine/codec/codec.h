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
  std::variant<std::monostate, Vp8Descriptor, Vp9Descriptor> descriptor;
  // Of any codec, when the packet has one that can be read. Layers and keyframes are then told by it alone.
  std::optional<DependencyDescriptor> dependency;
};

// What a slot changes in a packet. VP8, VP9: `bytes` stand in the place of the first `replaces` bytes of the
// payload. AV1: of the dependency descriptor; two more bytes are the decode targets that are forwarded (see
// descriptor_rewrite.h).
struct CodecPatch {
  uint8_t size = 0;
  uint8_t replaces = 0;
  std::array<uint8_t, 6> bytes{};
  friend bool operator==(const CodecPatch&, const CodecPatch&) = default;
};

}  // namespace nexus
