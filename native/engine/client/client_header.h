// The RTP header of a client's packets (RFC 3550 section 5.1, RFC 8285): no CSRC, and the extensions by which
// an SFU identifies the stream (MID, RID), measures the path (transport-wide number, abs-send-time) and
// detects speech (audio level). Negotiated extensions with a value are written in a fixed order, so that
// packets of a stream have one length and fit one GSO run.
#pragma once

#include <optional>
#include <string_view>

#include "engine/rtp/rtp_extensions.h"
#include "engine/rtp/rtp_packet.h"

namespace nexus {

struct ClientRtpHeader {
  bool marker = false;
  bool padding = false;
  PayloadType payload_type;
  uint16_t sequence_number = 0;
  uint32_t timestamp = 0;
  Ssrc ssrc;
  RtpExtensionIds ids;
  std::optional<uint32_t> abs_send_time;
  std::optional<uint16_t> transport_sequence_number;
  std::optional<AudioLevel> audio_level;
  std::string_view mid;  // empty: not written
  std::string_view rid;
  std::string_view repaired_rid;
  ByteView dependency_descriptor;
};

inline constexpr size_t kMaxClientIdentifierSize = 16;  // of MID and RID: one-byte elements hold 16
// Fixed part, block header, five small elements, two identifiers, a descriptor of 255 bytes, padding.
inline constexpr size_t kMaxClientRtpHeaderSize = 12 + 4 + 16 + 2 * (kMaxClientIdentifierSize + 2) + 257 + 3;

// Returns the number of bytes written, 0 when they do not fit.
size_t WriteClientRtpHeader(MutableByteView out, const ClientRtpHeader& header);

}  // namespace nexus
