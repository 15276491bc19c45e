// The start of VP9's uncompressed header, for each frame of a superframe.
#include <algorithm>

#include "engine/codec/av1/bit_reader.h"
#include "engine/frames/frame_description.h"
#include "engine/frames/superframe_index.h"

namespace nexus {
namespace {

struct Vp9Start {
  bool keyframe = false;
  uint16_t width = 0;  // 0: that of a reference frame
  uint16_t height = 0;
};

// frame_size() of section 6.2.3
void ReadSize(BitReader& reader, Vp9Start& header) {
  header.width = static_cast<uint16_t>(std::min(reader.Bits(16) + 1, 65'535u));
  header.height = static_cast<uint16_t>(std::min(reader.Bits(16) + 1, 65'535u));
}

bool ReadSyncCode(BitReader& reader) { return reader.Bits(24) == 0x49'83'42; }

// color_config() of section 6.2.2
bool SkipColours(BitReader& reader, unsigned profile) {
  constexpr unsigned kSrgb = 7;
  if (profile >= 2) reader.Skip(1);  // ten or twelve bits
  const bool subsampling_given = profile == 1 || profile == 3;
  if (reader.Bits(3) != kSrgb) {
    reader.Skip(1);  // range
    if (subsampling_given) reader.Skip(3);
    return true;
  }
  if (!subsampling_given) return false;  // 4:4:4 is not allowed in profiles 0 and 2
  reader.Skip(1);
  return true;
}

// uncompressed_header() of section 6.2, up to the frame's size.
std::optional<Vp9Start> ReadHeader(ByteView frame) {
  BitReader reader(frame);
  Vp9Start header;
  if (reader.Bits(2) != 2) return std::nullopt;  // frame_marker
  unsigned profile = reader.Bits(1);
  profile |= reader.Bits(1) << 1;
  if (profile == 3 && reader.Flag()) return std::nullopt;
  if (reader.Flag()) {  // show_existing_frame
    reader.Skip(3);
    return reader.ok() ? std::optional(header) : std::nullopt;
  }
  header.keyframe = !reader.Flag();
  const bool shown = reader.Flag();
  const bool error_resilient = reader.Flag();
  if (header.keyframe) {
    if (!ReadSyncCode(reader) || !SkipColours(reader, profile)) return std::nullopt;
    ReadSize(reader, header);
    return reader.ok() ? std::optional(header) : std::nullopt;
  }
  const bool intra_only = !shown && reader.Flag();
  if (!error_resilient) reader.Skip(2);  // reset_frame_context
  if (intra_only) {
    if (!ReadSyncCode(reader)) return std::nullopt;
    if (profile > 0 && !SkipColours(reader, profile)) return std::nullopt;
    reader.Skip(8);  // refresh_frame_flags
    ReadSize(reader, header);
  } else {
    reader.Skip(8 + 3 * 4);  // refresh_frame_flags, three references
    // frame_size_with_refs() of section 6.2.5: the first set flag names the reference.
    if (!reader.Flag() && !reader.Flag() && !reader.Flag()) ReadSize(reader, header);
  }
  return reader.ok() ? std::optional(header) : std::nullopt;
}

}  // namespace

std::optional<FrameDescription> DescribeVp9(ByteView frame) {
  FrameDescription description;
  const auto frames = SplitSuperframe(frame);
  description.spatial_layers = static_cast<uint8_t>(frames.size());
  for (size_t i = 0; i < frames.size(); ++i) {
    const auto header = ReadHeader(frames[i]);
    if (!header) return std::nullopt;
    if (i == 0) description.keyframe = header->keyframe;
    description.width = std::max(description.width, header->width);
    description.height = std::max(description.height, header->height);
  }
  return description;
}

}  // namespace nexus
