#include "engine/codec/picture_size.h"

namespace nexus {
namespace {

// Frame tag (3 bytes), start code 9d 01 2a, then 14 bits each of width and height below 2 bits of scale.
constexpr size_t kVp8KeyframeHeader = 10;
constexpr uint16_t kVp8SizeMask = 0x3FFF;

std::optional<PictureSize> Vp8Size(ByteView payload, const Vp8Descriptor& descriptor) {
  if (!IsVp8KeyframeStart(descriptor, payload)) return std::nullopt;
  const ByteView frame = payload.subspan(descriptor.size);
  if (frame.size() < kVp8KeyframeHeader) return std::nullopt;
  if (!HasVp8StartCode(descriptor, payload)) return std::nullopt;  // encrypted
  const auto little_endian = [&](size_t at) {
    return static_cast<uint16_t>((frame[at] | frame[at + 1] << 8) & kVp8SizeMask);
  };
  return PictureSize{little_endian(6), little_endian(8)};
}

}  // namespace

std::optional<PictureSize> KeyframeSize(ByteView payload, const FrameInfo& frame) {
  std::optional<PictureSize> size;
  if (const auto* vp8 = std::get_if<Vp8Descriptor>(&frame.descriptor)) size = Vp8Size(payload, *vp8);
  if (const auto* vp9 = std::get_if<Vp9Descriptor>(&frame.descriptor))
    size = PictureSize{vp9->width, vp9->height};
  return size && size->known() ? size : std::nullopt;
}

}  // namespace nexus
