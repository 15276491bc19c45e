#include "engine/frames/shown_layer.h"

#include "engine/codec/av1/bit_reader.h"
#include "engine/frames/superframe_index.h"

namespace nexus {
namespace {

// The frame with show_frame cleared. A frame between keyframes that is not shown has one more bit,
// intra_only, behind error_resilient_mode (section 6.2).
void AppendHidden(std::vector<uint8_t>& out, ByteView frame, const Vp9Header& header) {
  BitReader reader(frame);
  size_t count = 0;
  const auto put = [&](bool bit) {
    if (count % 8 == 0) out.push_back(0);
    if (bit) out.back() = static_cast<uint8_t>(out.back() | 0x80 >> count % 8);
    ++count;
  };
  for (size_t at = 0; at < header.bits; ++at) {
    const bool bit = reader.Flag();
    put(at != header.show_bit && bit);
    if (at == header.show_bit + 1 && !header.keyframe) put(false);
  }
  const ByteView rest = frame.subspan((header.bits + 7) / 8);
  out.insert(out.end(), rest.begin(), rest.end());
}

}  // namespace

std::vector<uint8_t> ShownLayer::Apply(ByteView picture) {
  const std::vector<uint8_t> unchanged(picture.begin(), picture.end());
  const auto frames = SplitSuperframe(picture);
  std::vector<Vp9Header> headers;
  bool resilient = true;
  for (const ByteView frame : frames) {
    const auto header = ParseVp9Header(frame, references_);
    if (!header) {
      references_ = {};  // unknown until the next keyframe
      return unchanged;
    }
    references_.Refresh(header->refresh_flags, header->size);
    resilient &= header->error_resilient;
    headers.push_back(*header);
  }
  const bool last_is_shown = headers.back().shown || headers.back().show_existing;
  if (frames.size() < 2 || !resilient || !last_is_shown) return unchanged;
  std::vector<uint8_t> out;
  out.reserve(picture.size() + frames.size());
  SuperframeIndex index;
  for (size_t i = 0; i < frames.size(); ++i) {
    const size_t begin = out.size();
    if (i + 1 < frames.size() && headers[i].shown) {
      AppendHidden(out, frames[i], headers[i]);
    } else {
      out.insert(out.end(), frames[i].begin(), frames[i].end());
    }
    if (!index.Add(out.size() - begin, true)) return unchanged;
  }
  index.Write(out);
  return out;
}

}  // namespace nexus
