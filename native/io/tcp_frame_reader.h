// Framing of ICE over TCP (RFC 6544 section 10.1) by RFC 4571 section 2: each packet follows its length.
//   LENGTH (16 bits, network order) | packet
// Whole packets are passed on in place; only a packet that is split over two reads is copied. At most one
// packet is buffered.
#pragma once

#include <vector>

#include "engine/base/bytes.h"

namespace nexus {

class TcpFrameReader {
 public:
  // Maximum packet size; ICE, DTLS and SRTP send nothing longer here.
  static constexpr size_t kMaxPacket = 4096;

  // Calls `handle(MutableByteView)` for each whole packet. False if a length is invalid: the stream must be
  // closed.
  template <class Handle>
  bool Feed(MutableByteView bytes, Handle&& handle) {
    while (!bytes.empty()) {
      if (!begun_.empty()) {
        const size_t taken = std::min(Wanted() - begun_.size(), bytes.size());
        begun_.insert(begun_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(taken));
        bytes = bytes.subspan(taken);
        if (begun_.size() == kHeader && Length(begun_) > kMaxPacket) return false;
        if (begun_.size() < kHeader || begun_.size() < Wanted()) continue;
        if (begun_.size() > kHeader) handle(MutableByteView(begun_).subspan(kHeader));
        begun_.clear();
        continue;
      }
      if (bytes.size() < kHeader) {
        begun_.assign(bytes.begin(), bytes.end());
        return true;
      }
      const size_t length = Length(bytes);
      if (length > kMaxPacket) return false;
      if (bytes.size() < kHeader + length) {
        begun_.assign(bytes.begin(), bytes.end());
        return true;
      }
      // An empty packet is valid, and ignored.
      if (length > 0) handle(bytes.subspan(kHeader, length));
      bytes = bytes.subspan(kHeader + length);
    }
    return true;
  }
  size_t held() const { return begun_.size(); }

 private:
  static constexpr size_t kHeader = 2;
  static size_t Length(ByteView bytes) { return static_cast<size_t>(bytes[0]) << 8 | bytes[1]; }
  size_t Wanted() const { return begun_.size() < kHeader ? kHeader : kHeader + Length(begun_); }

  std::vector<uint8_t> begun_;  // the incomplete packet, with its length in front
};

}  // namespace nexus
