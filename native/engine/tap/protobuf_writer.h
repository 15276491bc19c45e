// A minimal writer of protobuf's wire format: varints, tags and length-delimited fields. As in proto3, fields
// with the default value are omitted.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"

namespace nexus {

// The fields of one small message in a fixed buffer; if something does not fit, it fails for good.
class ProtobufFields {
 public:
  void Uint(uint32_t field, uint64_t value) {
    if (value != 0) AlwaysUint(field, value);
  }
  // Writes the field even if it is 0, for `optional`.
  void AlwaysUint(uint32_t field, uint64_t value) {
    Varint(uint64_t{field} << 3);
    Varint(value);
  }
  // int64: negative numbers take ten bytes.
  void Int(uint32_t field, int64_t value) { Uint(field, static_cast<uint64_t>(value)); }
  void Fixed64(uint32_t field, uint64_t value) {
    Varint(uint64_t{field} << 3 | 1);
    for (int i = 0; i < 8; ++i) Byte(static_cast<uint8_t>(value >> 8 * i));  // little-endian
  }
  void Text(uint32_t field, std::string_view value) {
    if (value.empty()) return;
    LengthOf(field, value.size());
    for (const char c : value) Byte(static_cast<uint8_t>(c));
  }
  // Writes tag and length of a field whose bytes follow elsewhere.
  void LengthOf(uint32_t field, size_t size) {
    Varint(uint64_t{field} << 3 | 2);
    Varint(size);
  }
  void Varint(uint64_t value) {
    while (value >= 0x80) {
      Byte(static_cast<uint8_t>(value | 0x80));
      value >>= 7;
    }
    Byte(static_cast<uint8_t>(value));
  }

  bool ok() const { return ok_; }
  ByteView bytes() const { return ByteView(bytes_).first(size_); }
  size_t size() const { return size_; }

 private:
  void Byte(uint8_t byte) {
    if (size_ == bytes_.size()) {
      ok_ = false;
      return;
    }
    bytes_[size_++] = byte;
  }
  std::array<uint8_t, 256> bytes_;
  size_t size_ = 0;
  bool ok_ = true;
};

inline void Append(std::vector<uint8_t>& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace nexus
