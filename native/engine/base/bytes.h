// Bounded reader and writer of bytes in network order; bytes from a peer are read only through them. An
// access past the end makes the reader or writer fail for good, so a parser checks `ok()` once at its end.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace nexus {

using ByteView = std::span<const uint8_t>;
using MutableByteView = std::span<uint8_t>;

class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  uint8_t U8() { return static_cast<uint8_t>(Big(1)); }
  uint16_t U16() { return static_cast<uint16_t>(Big(2)); }
  uint32_t U24() { return static_cast<uint32_t>(Big(3)); }
  uint32_t U32() { return static_cast<uint32_t>(Big(4)); }
  uint64_t U48() { return Big(6); }
  uint64_t U64() { return Big(8); }

  // The next `size` bytes; if fewer are left, it is empty and the reader fails.
  ByteView Bytes(size_t size) {
    if (!Need(size)) return {};
    ByteView view = bytes_.subspan(position_, size);
    position_ += size;
    return view;
  }
  void Skip(size_t size) { (void)Bytes(size); }
  ByteView Rest() { return Bytes(remaining()); }

 private:
  bool Need(size_t size) {
    if (!ok_ || size > remaining()) ok_ = false;
    return ok_;
  }
  uint64_t Big(size_t size) {
    if (!Need(size)) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | bytes_[position_ + i];
    position_ += size;
    return value;
  }

  ByteView bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

class ByteWriter {
 public:
  explicit ByteWriter(MutableByteView bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  size_t size() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }
  ByteView written() const { return ByteView(bytes_).first(position_); }

  void U8(uint8_t value) { Big(value, 1); }
  void U16(uint16_t value) { Big(value, 2); }
  void U24(uint32_t value) { Big(value, 3); }
  void U32(uint32_t value) { Big(value, 4); }
  void U48(uint64_t value) { Big(value, 6); }
  void U64(uint64_t value) { Big(value, 8); }
  void Bytes(ByteView view) {
    if (!Need(view.size())) return;
    if (!view.empty()) std::memcpy(bytes_.data() + position_, view.data(), view.size());
    position_ += view.size();
  }
  void Zeros(size_t size) {
    if (!Need(size)) return;
    if (size != 0) std::memset(bytes_.data() + position_, 0, size);
    position_ += size;
  }
  // Overwrites two bytes that were already written (for a length that is known only later).
  void PatchU16(size_t at, uint16_t value) {
    if (!ok_ || at + 2 > position_) {
      ok_ = false;
      return;
    }
    bytes_[at] = static_cast<uint8_t>(value >> 8);
    bytes_[at + 1] = static_cast<uint8_t>(value);
  }

 private:
  bool Need(size_t size) {
    if (!ok_ || size > remaining()) ok_ = false;
    return ok_;
  }
  void Big(uint64_t value, size_t size) {
    if (!Need(size)) return;
    for (size_t i = 0; i < size; ++i)
      bytes_[position_ + i] = static_cast<uint8_t>(value >> 8 * (size - 1 - i));
    position_ += size;
  }

  MutableByteView bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace nexus
