// Assembles a rewritten packet from three parts, which SRTP encrypts into another buffer: the header, the few
// bytes that replace the beginning of the payload, and the rest of the payload in the packet ring.
#pragma once

#include "engine/forward/slot_forwarder.h"
#include "engine/rtp/rtp_writer.h"
#include "engine/rtp/rtx.h"

namespace nexus {

// The subscriber's negotiated parameters of this slot.
struct OutgoingStream {
  Ssrc ssrc;
  PayloadType payload_type;
  Ssrc rtx_ssrc;
  PayloadType rtx_payload_type;
  bool video = false;
  RtpExtensionIds ids;
  std::optional<PayloadType> red_payload_type;  // audio
};

// Values of one transmission.
struct Transmission {
  uint32_t abs_send_time = 0;
  uint16_t transport_sequence_number = 0;
};

// `header` and `prefix` are in the caller's buffer, `rest` in the packet's own memory.
struct OutgoingPacket {
  ByteView header;  // in clear
  ByteView prefix;  // encrypted, may be empty
  ByteView rest;    // encrypted, may be empty
  size_t size() const { return header.size() + prefix.size() + rest.size(); }
};

inline constexpr size_t kAssemblySize = kMaxRtpHeaderSize + kRtxPrefixSize + 8;

// The header is empty if the packet does not fit. `scratch` has kAssemblySize bytes.
OutgoingPacket AssembleMedia(MutableByteView scratch, const OutgoingStream& stream,
                             const Transmission& transmission, const SourcePacket& packet,
                             const Rewritten& rewritten);
// The same with earlier packets before it (see WriteRedundancy) and RED's payload type. `red_prefix` is not
// copied.
OutgoingPacket AssembleRed(MutableByteView scratch, const OutgoingStream& stream,
                           const Transmission& transmission, const SourcePacket& packet,
                           const Rewritten& rewritten, ByteView red_prefix);
OutgoingPacket AssembleRtx(MutableByteView scratch, const OutgoingStream& stream,
                           const Transmission& transmission, const SourcePacket& packet,
                           const Rewritten& rewritten, int64_t rtx_sequence_number);

}  // namespace nexus
