// NAL units of an access unit in Annex B form, and the picture size in an SPS.
#include <algorithm>

#include "engine/codec/av1/bit_reader.h"
#include "engine/frames/frame_description.h"

namespace nexus {
namespace {

// Maximum size of the configuration: one SPS and PPS need 50 bytes. A frame whose sets are larger is not
// believed.
constexpr size_t kMaxConfiguration = 16'384;
// Maximum number of syntax elements in a list of an SPS (scaling lists, offsets of a picture order count).
constexpr uint32_t kMaxOffsets = 255;  // num_ref_frames_in_pic_order_cnt_cycle, section 7.4.2.1.1

enum NalType : uint8_t { kSlice = 1, kPartitionA = 2, kIdr = 5, kSps = 7, kPps = 8 };

// The next start code (00 00 01) from `from` on; the end if there is none.
size_t FindStartCode(ByteView stream, size_t from) {
  for (size_t i = from; i + 3 <= stream.size();) {
    if (stream[i + 2] > 1) {
      i += 3;
    } else if (stream[i] == 0 && stream[i + 1] == 0 && stream[i + 2] == 1) {
      return i;
    } else {
      ++i;
    }
  }
  return stream.size();
}

// The bytes of a NAL unit without its emulation prevention bytes (section 7.3.1).
std::vector<uint8_t> Unescape(ByteView unit) {
  std::vector<uint8_t> out;
  out.reserve(unit.size());
  int zeros = 0;
  for (const uint8_t byte : unit) {
    if (zeros >= 2 && byte == 3) {
      zeros = 0;
      continue;
    }
    zeros = byte == 0 ? zeros + 1 : 0;
    out.push_back(byte);
  }
  return out;
}

// ue(v) of section 9.1. More than 31 leading zeros are no number.
uint32_t ReadUnsigned(BitReader& reader) {
  unsigned zeros = 0;
  while (reader.ok() && !reader.Flag()) {
    if (++zeros == 32) {
      reader.Skip(SIZE_MAX);
      return 0;
    }
  }
  return (1u << zeros) - 1 + reader.Bits(zeros);
}

void SkipScalingList(BitReader& reader, unsigned size) {
  int32_t last = 8;
  for (unsigned i = 0; i < size && reader.ok(); ++i) {
    const uint32_t code = ReadUnsigned(reader);  // se(v): 1, -1, 2, -2, …
    const auto half = static_cast<int32_t>((code & 0xFF) + 1) / 2;
    last = (last + ((code & 1) != 0 ? half : -half)) & 0xFF;
    if (last == 0) return;  // the rest is as before
  }
}

// Profiles whose SPS tells the format of the samples: section 7.3.2.1.1.
bool TellsFormat(uint32_t profile) {
  constexpr uint8_t kProfiles[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
  return std::ranges::find(kProfiles, profile) != std::end(kProfiles);
}

struct Size {
  uint32_t width = 0;
  uint32_t height = 0;
};

// seq_parameter_set_data() up to the cropping of the picture.
std::optional<Size> ReadSps(ByteView unit) {
  const auto bytes = Unescape(unit.subspan(1));
  BitReader reader(bytes);
  const uint32_t profile = reader.Bits(8);
  reader.Skip(16);       // constraints, level
  ReadUnsigned(reader);  // id
  uint32_t chroma = 1;
  bool separate_planes = false;
  if (TellsFormat(profile)) {
    chroma = ReadUnsigned(reader);
    if (chroma > 3) return std::nullopt;
    if (chroma == 3) separate_planes = reader.Flag();
    ReadUnsigned(reader);  // bit depths
    ReadUnsigned(reader);
    reader.Skip(1);
    if (reader.Flag()) {
      for (unsigned i = 0; i < (chroma == 3 ? 12u : 8u); ++i) {
        if (reader.Flag()) SkipScalingList(reader, i < 6 ? 16 : 64);
      }
    }
  }
  ReadUnsigned(reader);  // log2_max_frame_num_minus4
  const uint32_t order = ReadUnsigned(reader);
  if (order == 0) {
    ReadUnsigned(reader);
  } else if (order == 1) {
    reader.Skip(1);
    ReadUnsigned(reader);
    ReadUnsigned(reader);
    const uint32_t offsets = ReadUnsigned(reader);
    if (offsets > kMaxOffsets) return std::nullopt;
    for (uint32_t i = 0; i < offsets; ++i) ReadUnsigned(reader);
  }
  ReadUnsigned(reader);  // max_num_ref_frames
  reader.Skip(1);
  const uint32_t columns = ReadUnsigned(reader);  // of 16 pixels, minus 1
  const uint32_t rows = ReadUnsigned(reader);
  const bool frames_only = reader.Flag();
  if (!frames_only) reader.Skip(1);
  reader.Skip(1);
  uint32_t crop[4] = {};  // left, right, top, bottom
  if (reader.Flag()) {
    for (uint32_t& edge : crop) edge = ReadUnsigned(reader);
  }
  constexpr uint32_t kMaxBlocks = 4'096;  // 65,536 pixels
  if (!reader.ok() || columns >= kMaxBlocks - 1 || rows >= kMaxBlocks - 1) return std::nullopt;
  const bool subsampled_x = !separate_planes && (chroma == 1 || chroma == 2);
  const bool subsampled_y = !separate_planes && chroma == 1;
  const uint64_t crop_x = (uint64_t{crop[0]} + crop[1]) * (subsampled_x ? 2 : 1);
  const uint64_t crop_y = (uint64_t{crop[2]} + crop[3]) * (subsampled_y ? 2 : 1) * (frames_only ? 1 : 2);
  const uint32_t width = (columns + 1) * 16;
  const uint32_t height = (rows + 1) * 16 * (frames_only ? 1 : 2);
  if (crop_x >= width || crop_y >= height || height - crop_y > 65'535) return std::nullopt;
  return Size{width - static_cast<uint32_t>(crop_x), height - static_cast<uint32_t>(crop_y)};
}

}  // namespace

std::optional<FrameDescription> DescribeH264(ByteView frame) {
  FrameDescription description;
  description.has_picture = false;
  bool forbidden = false;
  size_t units = 0;
  for (size_t at = FindStartCode(frame, 0); at < frame.size();) {
    const size_t begin = at + 3;
    at = FindStartCode(frame, begin);
    size_t end = at;
    while (end > begin && frame[end - 1] == 0) --end;  // trailing_zero_8bits, and the long start code's zero
    if (end == begin) continue;
    const ByteView unit = frame.subspan(begin, end - begin);
    const uint8_t type = unit[0] & 0x1F;
    ++units;
    forbidden |= (unit[0] & 0x80) != 0 || type == 0;
    description.keyframe |= type == kIdr;
    description.has_picture |= type == kSlice || type == kPartitionA || type == kIdr;
    if (type != kSps && type != kPps) continue;
    if (type == kSps) {
      const auto size = ReadSps(unit);
      if (!size) return std::nullopt;
      description.width = std::max(description.width, static_cast<uint16_t>(size->width));
      description.height = std::max(description.height, static_cast<uint16_t>(size->height));
    }
    auto& sets = description.configuration;
    if (sets.size() + 4 + unit.size() > kMaxConfiguration) return std::nullopt;
    sets.insert(sets.end(), {0, 0, 0, 1});
    sets.insert(sets.end(), unit.begin(), unit.end());
  }
  if (units == 0 || forbidden) return std::nullopt;
  return description;
}

}  // namespace nexus
