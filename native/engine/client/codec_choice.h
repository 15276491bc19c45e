// Choice of the codec that a client sends: among the negotiated ones, those that its device encodes well, in
// its order of preference.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/codec/h264/h264_inspector.h"
#include "engine/media/codec_binding.h"

namespace nexus {

struct EncoderCapability {
  Codec codec = Codec::kVp8;
  bool hardware = false;
  uint32_t max_pixels_per_second = 0;       // that it encodes in real time; 0: no limit known
  std::optional<H264Profile> h264_profile;  // nothing: any
  int vp9_profile = 0;
};

struct SendDemand {
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t frames_per_second = 0;
  size_t encodings = 1;         // simulcast: each costs a fraction of the one above it
  bool prefer_hardware = true;  // battery before bitrate
};

// Returns the negotiated binding to send with; nothing when there is no codec in common. Capabilities are in
// the order of preference. If none is fast enough, the first negotiated one is chosen.
std::optional<CodecBinding> ChooseCodec(std::span<const CodecBinding> negotiated,
                                        std::span<const EncoderCapability> capabilities,
                                        const SendDemand& demand);

}  // namespace nexus
