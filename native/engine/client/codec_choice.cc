#include "engine/client/codec_choice.h"

namespace nexus {
namespace {

bool Fits(const EncoderCapability& capability, const CodecBinding& binding) {
  if (capability.codec != binding.codec) return false;
  if (binding.codec == Codec::kVp9) return capability.vp9_profile == binding.vp9_profile;
  if (binding.codec != Codec::kH264 || !capability.h264_profile || !binding.h264_profile_level_id)
    return true;
  char hex[7];
  for (int i = 0; i < 6; ++i) {
    hex[i] = "0123456789abcdef"[*binding.h264_profile_level_id >> (4 * (5 - i)) & 0xF];
  }
  const auto profile = ParseProfileLevelId({hex, 6});
  return profile && profile->profile == *capability.h264_profile;
}

// Simulcast halves both sides at each step down: 1 + 1/4 + 1/16 ...
uint64_t PixelsPerSecond(const SendDemand& demand) {
  const uint64_t top = uint64_t{demand.width} * demand.height * demand.frames_per_second;
  uint64_t sum = 0;
  for (size_t i = 0; i < demand.encodings && i < 4; ++i) sum += top >> (2 * i);
  return sum;
}

const CodecBinding* BindingFor(std::span<const CodecBinding> negotiated,
                               const EncoderCapability& capability) {
  for (const CodecBinding& binding : negotiated) {
    if (Fits(capability, binding)) return &binding;
  }
  return nullptr;
}

}  // namespace

std::optional<CodecBinding> ChooseCodec(std::span<const CodecBinding> negotiated,
                                        std::span<const EncoderCapability> capabilities,
                                        const SendDemand& demand) {
  const uint64_t pixels = PixelsPerSecond(demand);
  const CodecBinding* fast = nullptr;
  const CodecBinding* any = nullptr;
  for (const EncoderCapability& capability : capabilities) {
    const CodecBinding* binding = BindingFor(negotiated, capability);
    if (binding == nullptr) continue;
    if (any == nullptr) any = binding;
    const uint64_t limit = capability.max_pixels_per_second;
    if (limit != 0 && limit < pixels) continue;
    if (fast == nullptr) fast = binding;
    if (demand.prefer_hardware && capability.hardware) return *binding;
  }
  if (fast != nullptr) return *fast;
  if (any != nullptr) return *any;
  return std::nullopt;
}

}  // namespace nexus
