// Puts a rewritten packet together as three pieces that SRTP encrypts out of place: a header, the few bytes
// that replace the payload's beginning, and the rest of the payload where it lies in the ring.
#pragma once

#include "engine/forward/slot_forwarder.h"
#include "engine/rtp/rtp_writer.h"
#include "engine/rtp/rtx.h"

namespace nexus {

// What the subscriber negotiated for this slot.
struct OutgoingStream {
  Ssrc ssrc;
  PayloadType payload_type;
  Ssrc rtx_ssrc;
  PayloadType rtx_payload_type;
  bool video = false;
  RtpExtensionIds ids;
  std::optional<PayloadType> red_payload_type;  // audio
};

// Values of this one transmission.
struct Transmission {
  uint32_t abs_send_time = 0;
  uint16_t transport_sequence_number = 0;
};

// `header` and `prefix` lie in the caller's buffer, `rest` in the packet's own memory.
struct OutgoingPacket {
  ByteView header;  // in clear
  ByteView prefix;  // encrypted, may be empty
  ByteView rest;    // encrypted, may be empty
  size_t size() const { return header.size() + prefix.size() + rest.size(); }
};

inline constexpr size_t kAssemblySize = kMaxRtpHeaderSize + kRtxPrefixSize + 8;

// Empty header: did not fit. `scratch` has kAssemblySize bytes.
OutgoingPacket AssembleMedia(MutableByteView scratch, const OutgoingStream& stream,
                             const Transmission& transmission, const SourcePacket& packet,
                             const Rewritten& rewritten);
// The same with earlier packets in front (see WriteRedundancy), in RED's payload type. `red_prefix` is not
// copied.
OutgoingPacket AssembleRed(MutableByteView scratch, const OutgoingStream& stream,
                           const Transmission& transmission, const SourcePacket& packet,
                           const Rewritten& rewritten, ByteView red_prefix);
OutgoingPacket AssembleRtx(MutableByteView scratch, const OutgoingStream& stream,
                           const Transmission& transmission, const SourcePacket& packet,
                           const Rewritten& rewritten, int64_t rtx_sequence_number);

}  // namespace nexus
