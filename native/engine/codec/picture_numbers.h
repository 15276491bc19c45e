// Maps a source's picture ids for one subscriber: continuous across bindings and across pictures that are
// left out. The output always has 15 bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/base/sequence_map.h"

namespace nexus {

class PictureNumbers {
 public:
  void Bind() { bound_ = false; }

  // `value` counts modulo 2^value_bits, 7 or 15.
  uint16_t Map(uint16_t value, unsigned value_bits) {
    const int64_t picture = Unwrap(value, value_bits);
    if (!bound_) Start(picture);
    map_.Seen(picture);
    // A picture from before the binding's first, or one that was left out, keeps its distance; its number is
    // unused.
    const int64_t out = map_.Map(picture).value_or(picture + first_offset_);
    highest_ = std::max(highest_.value_or(out), out);
    return static_cast<uint16_t>(out & 0x7FFF);
  }
  // This picture is not sent, and the next one takes its number. If it is late, its number stays unused.
  void LeaveOut(uint16_t value, unsigned value_bits) {
    if (bound_) map_.LeaveOut(Unwrap(value, value_bits));
  }
  // True if later pictures were sent and this picture's number is still free: only it can fill the gap.
  bool HasPlace(uint16_t value, unsigned value_bits) const {
    if (!bound_) return false;
    const int64_t picture = Near(value, value_bits);
    return picture < map_.highest() && map_.Map(picture).has_value();
  }

 private:
  int64_t Near(uint16_t value, unsigned value_bits) const {
    const int64_t size = int64_t{1} << value_bits;
    int64_t step = (value - last_in_) & (size - 1);
    if (step >= size / 2) step -= size;
    return last_in_ + step;
  }
  int64_t Unwrap(uint16_t value, unsigned value_bits) {
    last_in_ = bound_ ? Near(value, value_bits) : value;
    return last_in_;
  }
  void Start(int64_t picture) {
    const int64_t out = highest_ ? *highest_ + 1 : picture;
    map_.Start(picture, out);
    first_offset_ = out - picture;
    bound_ = true;
  }

  SequenceMap map_;
  bool bound_ = false;
  int64_t last_in_ = 0;
  int64_t first_offset_ = 0;
  std::optional<int64_t> highest_;  // the highest value returned so far
};

}  // namespace nexus
