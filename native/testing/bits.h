// A writer of bits, as dependency descriptors need it (AV1 RTP specification, appendix A).
#pragma once

#include <cstdint>
#include <vector>

namespace nexus::testing {

class Bits {
 public:
  Bits& Put(uint32_t value, unsigned count) {
    for (unsigned i = count; i > 0; --i) {
      if (position_ % 8 == 0) bytes_.push_back(0);
      bytes_.back() = static_cast<uint8_t>(bytes_.back() | (value >> (i - 1) & 1) << (7 - position_ % 8));
      ++position_;
    }
    return *this;
  }
  // ns(n) of AV1 section 4.10.7
  Bits& NonSymmetric(uint32_t value, uint32_t n) {
    unsigned width = 0;
    for (uint32_t x = n; x != 0; x >>= 1) ++width;
    const uint32_t short_codes = (1u << width) - n;
    if (value < short_codes) return Put(value, width - 1);
    return Put(value + short_codes, width);
  }
  std::vector<uint8_t> bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
  size_t position_ = 0;
};

}  // namespace nexus::testing
