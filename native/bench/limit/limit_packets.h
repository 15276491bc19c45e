// The packets of the limit benchmark (limit_bench.cc), with the sizes and the number of a livestream's
// packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/srtp/srtp_sealer.h"

namespace nexus::limit {

// One burst of the publisher: a video frame in packets of equal size, or one audio packet.
struct Burst {
  uint32_t ssrc = 0;
  size_t packets = 1;
  size_t payload = 0;
};

// CSRC, abs-send-time, transport-wide number and orientation: what the engine sends to a browser.
inline constexpr size_t kHeaderSize = 12 + 4 + 4 + 12;

// Rewrites the few fields that differ per subscriber.
inline void WriteHeader(MutableByteView out, const Burst& burst, uint64_t index, uint32_t timestamp) {
  ByteWriter writer(out);
  writer.U16(0x9160);
  writer.U16(static_cast<uint16_t>(index));
  writer.U32(timestamp);
  writer.U32(burst.ssrc);
  writer.U32(7);
  writer.U32(0xBEDE0003);
  writer.U32(0x22000000u | (timestamp & 0xFFFFFFu));
  writer.U32(0x31000000u | (static_cast<uint32_t>(index) & 0xFFFFu) << 8);
  writer.U32(0);
}

// Sealed packets of one burst, end to end.
struct SealedBurst {
  std::vector<uint8_t> bytes;
  size_t segment = 0;
};

inline SealedBurst Seal(const Burst& burst, SrtpSealer& sealer, uint64_t& index) {
  SealedBurst sealed;
  sealed.segment = kHeaderSize + burst.payload + kSrtpMaxRtpOverhead;
  sealed.bytes.resize(sealed.segment * burst.packets);
  const std::vector<uint8_t> payload(burst.payload, 0x5A);
  std::vector<uint8_t> header(kHeaderSize);
  for (size_t i = 0; i < burst.packets; ++i, ++index) {
    WriteHeader(header, burst, index, 90'000);
    sealer.SealRtp(header, payload, index,
                   MutableByteView(sealed.bytes).subspan(i * sealed.segment, sealed.segment));
  }
  return sealed;
}

}  // namespace nexus::limit
