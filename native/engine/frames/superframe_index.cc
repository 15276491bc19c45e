#include "engine/frames/superframe_index.h"

#include <algorithm>

namespace nexus {

bool SuperframeIndex::Add(size_t size, bool begins) {
  if (begins || count_ == 0) {
    if (count_ == kMaxFrames) return false;
    sizes_[count_++] = 0;
  }
  sizes_[count_ - 1] += static_cast<uint32_t>(size);
  return true;
}

// Annex B.2: marker 110 (3), bytes of a size minus 1 (2), frames minus 1 (3) | sizes, little endian | the
// first byte again.
void SuperframeIndex::Write(std::vector<uint8_t>& out) const {
  if (count_ < 2) return;
  const uint32_t largest =
      *std::max_element(sizes_.begin(), sizes_.begin() + static_cast<std::ptrdiff_t>(count_));
  unsigned bytes = 1;
  while (bytes < 4 && largest >> (8 * bytes) != 0) ++bytes;
  const auto head = static_cast<uint8_t>(0xC0 | (bytes - 1) << 3 | (count_ - 1));
  out.push_back(head);
  for (size_t i = 0; i < count_; ++i) {
    for (unsigned byte = 0; byte < bytes; ++byte)
      out.push_back(static_cast<uint8_t>(sizes_[i] >> (8 * byte)));
  }
  out.push_back(head);
}

std::vector<ByteView> SplitSuperframe(ByteView superframe) {
  const std::vector<ByteView> whole = {superframe};
  if (superframe.empty() || (superframe.back() & 0xE0) != 0xC0) return whole;
  const size_t count = (superframe.back() & 7u) + 1;
  const size_t bytes = (superframe.back() >> 3 & 3u) + 1;
  const size_t index_size = 2 + count * bytes;
  if (superframe.size() <= index_size) return whole;
  const ByteView index = superframe.last(index_size);
  if (index.front() != index.back()) return whole;
  std::vector<ByteView> frames;
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    size_t size = 0;
    for (size_t byte = 0; byte < bytes; ++byte)
      size |= static_cast<size_t>(index[1 + i * bytes + byte]) << (8 * byte);
    if (size > superframe.size() - index_size - at) return whole;
    if (size > 0) frames.push_back(superframe.subspan(at, size));
    at += size;
  }
  return frames.empty() ? whole : frames;
}

}  // namespace nexus
