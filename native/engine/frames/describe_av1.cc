// OBUs of a temporal unit in low-overhead form, and the picture size in a sequence header.
#include <algorithm>
#include <utility>

#include "engine/codec/av1/bit_reader.h"
#include "engine/frames/frame_description.h"

namespace nexus {
namespace {

// Maximum size of a sequence header that is believed; real ones have about 15 bytes.
constexpr size_t kMaxSequenceHeader = 1'024;

enum ObuType : uint8_t { kSequenceHeader = 1, kFrameHeader = 3, kFrame = 6 };

// uvlc() of section 4.10.3
void SkipUvlc(BitReader& reader) {
  unsigned zeros = 0;
  while (reader.ok() && !reader.Flag()) ++zeros;
  if (zeros < 32) reader.Skip(zeros);
}

struct SequenceHeader {
  uint16_t width = 0;
  uint16_t height = 0;
};

// timing_info() and decoder_model_info() of sections 5.5.3 and 5.5.4. Returns the bits of a delay, 0: none is
// given.
unsigned SkipTiming(BitReader& reader) {
  reader.Skip(64);
  if (reader.Flag()) SkipUvlc(reader);  // equal_picture_interval
  if (!reader.Flag()) return 0;
  const unsigned delay_bits = reader.Bits(5) + 1;
  reader.Skip(32 + 5 + 5);
  return delay_bits;
}

// sequence_header_obu() of section 5.5.1, up to the size of the picture.
std::optional<SequenceHeader> ReadSequenceHeader(ByteView content) {
  BitReader reader(content);
  SequenceHeader header;
  if (reader.Bits(3) > 2) return std::nullopt;  // seq_profile
  reader.Skip(1);                               // still_picture
  if (reader.Flag()) {                          // reduced_still_picture_header
    reader.Skip(5);                             // level
  } else {
    const unsigned delay_bits = reader.Flag() ? SkipTiming(reader) : 0;
    const bool display_delay = reader.Flag();
    const unsigned points = reader.Bits(5) + 1;
    for (unsigned i = 0; i < points; ++i) {
      reader.Skip(12);                         // operating_point_idc
      if (reader.Bits(5) > 7) reader.Skip(1);  // level and tier
      if (delay_bits > 0 && reader.Flag()) reader.Skip(2 * delay_bits + 1);
      if (display_delay && reader.Flag()) reader.Skip(4);
    }
  }
  const unsigned width_bits = reader.Bits(4) + 1;
  const unsigned height_bits = reader.Bits(4) + 1;
  header.width = static_cast<uint16_t>(std::min(reader.Bits(width_bits) + 1, 65'535u));
  header.height = static_cast<uint16_t>(std::min(reader.Bits(height_bits) + 1, 65'535u));
  return reader.ok() ? std::optional(header) : std::nullopt;
}

// leb128() of section 4.10.5
std::optional<size_t> ReadLeb128(ByteReader& reader) {
  uint64_t value = 0;
  for (unsigned i = 0; i < 8; ++i) {
    const uint8_t byte = reader.U8();
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if ((byte & 0x80) == 0) return reader.ok() ? std::optional(static_cast<size_t>(value)) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<FrameDescription> DescribeAv1(ByteView frame) {
  FrameDescription description;
  description.has_picture = false;
  ByteReader reader(frame);
  bool first_frame = true;
  while (reader.remaining() > 0) {
    const size_t begin = reader.position();
    const uint8_t head = reader.U8();
    if ((head & 0x80) != 0 || (head & 0x02) == 0)
      return std::nullopt;  // obu_forbidden_bit, obu_has_size_field
    const uint8_t type = head >> 3 & 0x0F;
    const uint8_t spatial = (head & 0x04) != 0 ? reader.U8() >> 3 & 3 : 0;
    const auto size = ReadLeb128(reader);
    if (!size) return std::nullopt;
    const ByteView content = reader.Bytes(*size);
    if (!reader.ok()) return std::nullopt;
    if (type == kSequenceHeader) {
      const auto header = ReadSequenceHeader(content);
      const size_t whole = reader.position() - begin;
      if (!header || whole > kMaxSequenceHeader) return std::nullopt;
      description.width = header->width;
      description.height = header->height;
      const ByteView obu = frame.subspan(begin, whole);
      description.configuration.assign(obu.begin(), obu.end());
    }
    if (type != kFrame && type != kFrameHeader) continue;
    description.has_picture = true;
    description.spatial_layers = std::max(description.spatial_layers, static_cast<uint8_t>(spatial + 1));
    if (content.empty()) return std::nullopt;
    // uncompressed_header() of section 5.9.2: show_existing_frame (1), frame_type (2), 0: key. A reduced
    // header has neither, but no call sends still pictures.
    if (std::exchange(first_frame, false)) description.keyframe = (content[0] & 0xE0) == 0;
  }
  return description;
}

}  // namespace nexus
