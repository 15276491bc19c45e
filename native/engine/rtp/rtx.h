// Retransmission payload format (RFC 4588): the payload is the original sequence number and the original
// payload.
#pragma once

#include <optional>

#include "engine/rtp/rtp_packet.h"

namespace nexus {

inline constexpr size_t kRtxPrefixSize = 2;

// The original's sequence number; nothing for a probe (without payload, or padding only).
std::optional<uint16_t> ParseRtxOriginalSequence(const RtpPacketView& rtx);

// Restores the original packet byte by byte (without padding). Returns its size, or 0 if `rtx` is a probe or
// the packet does not fit. The header extensions are those of the retransmission (RFC 4588 §4).
size_t RestoreFromRtx(const RtpPacketView& rtx, Ssrc original_ssrc, PayloadType original_payload_type,
                      MutableByteView out);

// Writes the two bytes before the original payload.
size_t WriteRtxPrefix(MutableByteView out, uint16_t original_sequence_number);

}  // namespace nexus
