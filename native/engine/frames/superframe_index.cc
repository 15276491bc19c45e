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

}  // namespace nexus
