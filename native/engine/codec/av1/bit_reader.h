// Bounded reader of bits, most significant first. Past the end it fails for good and returns zeros.
#pragma once

#include "engine/base/bytes.h"

namespace nexus {

class BitReader {
 public:
  explicit BitReader(ByteView bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  size_t position() const { return position_; }  // in bits
  uint32_t Bits(unsigned count) {
    uint32_t value = 0;
    for (unsigned i = 0; i < count; ++i) value = value << 1 | Bit();
    return value;
  }
  bool Flag() { return Bit() != 0; }
  // ns(n) of AV1 §4.10.7: a value below `n`; the first values have shorter codes.
  uint32_t NonSymmetric(uint32_t n) {
    unsigned width = 0;
    for (uint32_t x = n; x != 0; x >>= 1) ++width;
    if (width == 0) return 0;
    const uint32_t short_codes = (1u << width) - n;
    const uint32_t value = Bits(width - 1);
    if (value < short_codes) return value;
    return (value << 1) - short_codes + Bit();
  }
  void Skip(size_t count) {
    if (!ok_ || count > bytes_.size() * 8 - position_) {
      ok_ = false;
    } else {
      position_ += count;
    }
  }

 private:
  uint32_t Bit() {
    if (!ok_ || position_ >= bytes_.size() * 8) {
      ok_ = false;
      return 0;
    }
    const uint32_t bit = bytes_[position_ / 8] >> (7 - position_ % 8) & 1u;
    ++position_;
    return bit;
  }

  ByteView bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace nexus
