#include "engine/frames/vp9_header.h"

#include <initializer_list>

#include "engine/codec/av1/bit_reader.h"

namespace nexus {
namespace {

void SkipIf(BitReader& reader, size_t bits) {
  if (reader.Flag()) reader.Skip(bits);
}

// color_config() of section 6.2.2
bool SkipColours(BitReader& reader, unsigned profile) {
  constexpr unsigned kSrgb = 7;
  const bool subsampling_given = profile == 1 || profile == 3;
  if (profile >= 2) reader.Skip(1);
  if (reader.Bits(3) != kSrgb) {
    reader.Skip(subsampling_given ? 4 : 1);
    return true;
  }
  if (!subsampling_given) return false;
  reader.Skip(1);
  return true;
}

Vp9FrameSize ReadSize(BitReader& reader) {  // section 6.2.3
  Vp9FrameSize size;
  size.width = reader.Bits(16) + 1;
  size.height = reader.Bits(16) + 1;
  return size;
}

// Three references, then frame_size_with_refs() of section 6.2.5.
Vp9FrameSize ReadInterSize(BitReader& reader, const Vp9References& references) {
  std::array<unsigned, 3> slots{};
  for (unsigned& slot : slots) {
    slot = reader.Bits(3);
    reader.Skip(1);  // sign bias
  }
  for (const unsigned slot : slots) {
    if (reader.Flag()) return references.At(slot);
  }
  return ReadSize(reader);
}

void SkipLoopFilter(BitReader& reader) {  // section 6.2.8
  reader.Skip(6 + 3);
  if (!reader.Flag() || !reader.Flag()) return;
  for (int i = 0; i < 4 + 2; ++i) SkipIf(reader, 7);
}

void SkipQuantization(BitReader& reader) {  // section 6.2.9
  reader.Skip(8);
  for (int i = 0; i < 3; ++i) SkipIf(reader, 5);
}

void SkipSegmentation(BitReader& reader) {  // section 6.2.11
  if (!reader.Flag()) return;
  if (reader.Flag()) {
    for (int i = 0; i < 7; ++i) SkipIf(reader, 8);
    if (reader.Flag()) {
      for (int i = 0; i < 3; ++i) SkipIf(reader, 8);
    }
  }
  if (!reader.Flag()) return;
  reader.Skip(1);
  for (int segment = 0; segment < 8; ++segment) {
    for (const size_t bits : {9, 7, 2, 0}) SkipIf(reader, bits);  // value and sign
  }
}

void SkipTiles(BitReader& reader, uint32_t width) {  // section 6.2.14
  const uint32_t columns = (width + 63) / 64;
  unsigned least = 0;
  while ((64u << least) < columns) ++least;
  unsigned most = 1;
  while ((columns >> most) >= 4) ++most;
  for (unsigned log2 = least; log2 < most - 1 && reader.Flag(); ++log2) {
  }
  SkipIf(reader, 1);
}

}  // namespace

std::optional<Vp9Header> ParseVp9Header(ByteView frame, const Vp9References& references) {
  constexpr uint32_t kSyncCode = 0x49'83'42;
  BitReader reader(frame);
  Vp9Header header;
  if (reader.Bits(2) != 2) return std::nullopt;
  unsigned profile = reader.Bits(1);
  profile |= reader.Bits(1) << 1;
  if (profile == 3 && reader.Flag()) return std::nullopt;
  header.show_existing = reader.Flag();
  if (header.show_existing) return reader.ok() ? std::optional(header) : std::nullopt;
  header.keyframe = !reader.Flag();
  header.show_bit = reader.position();
  header.shown = reader.Flag();
  header.error_resilient = reader.Flag();
  const bool intra_only = !header.keyframe && !header.shown && reader.Flag();
  if (!header.keyframe && !header.error_resilient) reader.Skip(2);  // reset_frame_context
  if (header.keyframe || intra_only) {
    if (reader.Bits(24) != kSyncCode) return std::nullopt;
    if ((header.keyframe || profile > 0) && !SkipColours(reader, profile)) return std::nullopt;
    header.refresh_flags = header.keyframe ? 0xFF : static_cast<uint8_t>(reader.Bits(8));
    header.size = ReadSize(reader);
    SkipIf(reader, 32);  // render_size()
  } else {
    header.refresh_flags = static_cast<uint8_t>(reader.Bits(8));
    header.size = ReadInterSize(reader, references);
    SkipIf(reader, 32);
    reader.Skip(1);                      // allow_high_precision_mv
    if (!reader.Flag()) reader.Skip(2);  // interpolation filter
  }
  if (header.size.width == 0) return std::nullopt;
  if (!header.error_resilient) reader.Skip(2);
  reader.Skip(2);  // frame_context_idx
  SkipLoopFilter(reader);
  SkipQuantization(reader);
  SkipSegmentation(reader);
  SkipTiles(reader, header.size.width);
  const uint32_t compressed = reader.Bits(16);
  header.bits = reader.position();
  const size_t bytes = (header.bits + 7) / 8;
  if (!reader.ok() || compressed == 0 || bytes + compressed > frame.size()) return std::nullopt;
  return header;
}

}  // namespace nexus
