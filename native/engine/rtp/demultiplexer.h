// Demultiplexing of datagrams by the first byte (RFC 7983 section 7), and of RTP and RTCP by the second (RFC
// 5761 section 4).
#pragma once

#include <cstdint>

#include "engine/base/bytes.h"

namespace nexus {

enum class Protocol : uint8_t { kStun, kDtls, kRtp, kRtcp, kUnknown };

inline Protocol Demultiplex(ByteView datagram) {
  if (datagram.size() < 2) return Protocol::kUnknown;
  const uint8_t first = datagram[0];
  if (first <= 3) return Protocol::kStun;
  if (first >= 20 && first <= 63) return Protocol::kDtls;
  if (first < 128 || first > 191) return Protocol::kUnknown;
  // RTCP packet types 192..223 collide with no RTP payload type that may be used with rtcp-mux.
  const uint8_t second = datagram[1];
  return second >= 192 && second <= 223 ? Protocol::kRtcp : Protocol::kRtp;
}

}  // namespace nexus
