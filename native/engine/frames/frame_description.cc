#include "engine/frames/frame_description.h"

#include <algorithm>
#include <array>

namespace nexus {

std::optional<FrameDescription> DescribeFrame(Codec codec, ByteView frame) {
  switch (codec) {
    case Codec::kOpus:
      return std::nullopt;
    case Codec::kVp8:
      return DescribeVp8(frame);
    case Codec::kVp9:
      return DescribeVp9(frame);
    case Codec::kH264:
      return DescribeH264(frame);
    case Codec::kAv1:
      return DescribeAv1(frame);
  }
  return std::nullopt;
}

std::optional<FrameDescription> DescribeVp8(ByteView frame) {
  constexpr size_t kFrameTag = 3;
  constexpr size_t kKeyframeHead = 10;
  constexpr std::array<uint8_t, 3> kStartCode = {0x9D, 0x01, 0x2A};
  // Versions above 3 are reserved (section 9.1).
  if (frame.size() < kFrameTag || (frame[0] >> 1 & 7) > 3) return std::nullopt;
  FrameDescription description;
  description.keyframe = (frame[0] & 1) == 0;
  if (!description.keyframe) return description;
  if (frame.size() < kKeyframeHead) return std::nullopt;
  if (!std::ranges::equal(frame.subspan(kFrameTag, kStartCode.size()), kStartCode)) return std::nullopt;
  // The two highest bits of each size are the scaling that a player may apply.
  const auto size = [&](size_t at) {
    return static_cast<uint16_t>((frame[at] | frame[at + 1] << 8) & 0x3FFF);
  };
  description.width = size(6);
  description.height = size(8);
  if (description.width == 0 || description.height == 0) return std::nullopt;
  return description;
}

}  // namespace nexus
