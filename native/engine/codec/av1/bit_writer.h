// Bounded writer of bits, most significant first. Past the end it fails for good.
#pragma once

#include "engine/base/bytes.h"
#include "engine/codec/av1/bit_reader.h"

namespace nexus {

class BoundedBitWriter {
 public:
  explicit BoundedBitWriter(MutableByteView bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  void Bits(uint32_t value, unsigned count) {
    for (unsigned i = count; i > 0; --i) Bit(value >> (i - 1) & 1u);
  }
  void Copy(BitReader& from, size_t count) {
    for (; count >= 8; count -= 8) Bits(from.Bits(8), 8);
    Bits(from.Bits(static_cast<unsigned>(count)), static_cast<unsigned>(count));
  }
  // Whole bytes; the last one is padded with zeros.
  ByteView written() const { return ByteView(bytes_).first((position_ + 7) / 8); }

 private:
  void Bit(uint32_t bit) {
    if (!ok_ || position_ >= bytes_.size() * 8) {
      ok_ = false;
      return;
    }
    uint8_t& byte = bytes_[position_ / 8];
    if (position_ % 8 == 0) byte = 0;
    byte = static_cast<uint8_t>(byte | bit << (7 - position_ % 8));
    ++position_;
  }

  MutableByteView bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace nexus
