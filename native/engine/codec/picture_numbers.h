// Picture ids of a source as one subscriber gets them: continuous across bindings, and closed up over
// pictures that are left out. Always 15 bits going out, whatever came in.
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
    // A picture from before the binding's first, or left out: it keeps the distance, nobody else uses the
    // number.
    const int64_t out = map_.Map(picture).value_or(picture + first_offset_);
    highest_ = std::max(highest_.value_or(out), out);
    return static_cast<uint16_t>(out & 0x7FFF);
  }
  // Nothing of this picture is sent; the next one takes its number. Late, its number stays free.
  void LeaveOut(uint16_t value, unsigned value_bits) {
    if (bound_) map_.LeaveOut(Unwrap(value, value_bits));
  }
  // Others have gone past and left the picture's number free: only it can fill the place.
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
  std::optional<int64_t> highest_;  // furthest that was given out
};

}  // namespace nexus
