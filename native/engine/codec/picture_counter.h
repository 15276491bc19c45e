// A counter of N bits that continues without a gap when its source changes: while bound, out = in + offset.
#pragma once

#include <cstdint>
#include <optional>

namespace nexus {

template <unsigned kBits>
class PictureCounter {
 public:
  static constexpr uint32_t kMask = (1u << kBits) - 1;

  void Bind() { offset_.reset(); }
  // `value` counts modulo 2^value_bits, value_bits <= kBits.
  uint32_t Map(uint32_t value, unsigned value_bits) {
    const uint32_t wide = Widen(value, value_bits);
    if (!offset_) offset_ = (highest_ ? *highest_ + 1 : wide) - wide;
    const uint32_t out = (wide + *offset_) & kMask;
    if (!highest_ || Ahead(out, *highest_)) highest_ = out;
    return out;
  }
  std::optional<uint32_t> highest() const { return highest_; }

 private:
  // Unwraps a narrower counter near its last value, so that 7-bit picture ids are extended to 15 bits.
  uint32_t Widen(uint32_t value, unsigned value_bits) {
    if (value_bits >= kBits || !offset_) {
      last_in_ = value;
      return value;
    }
    const uint32_t mask = (1u << value_bits) - 1;
    uint32_t step = (value - last_in_) & mask;
    if (step > mask / 2) step -= mask + 1;
    last_in_ += step;
    return last_in_;
  }
  static bool Ahead(uint32_t a, uint32_t b) {
    const uint32_t step = (a - b) & kMask;
    return step != 0 && step <= kMask / 2;
  }

  std::optional<uint32_t> offset_;   // nothing until a source's first value
  std::optional<uint32_t> highest_;  // the highest value returned so far
  uint32_t last_in_ = 0;
};

}  // namespace nexus
