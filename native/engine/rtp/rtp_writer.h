// The RTP header of a packet to a subscriber: 12 fixed bytes, exactly one CSRC (the source's number), and one
// extension block. The block's length depends only on the negotiated extensions, so that packets of a slot
// can share a GSO run; only the dependency descriptor may vary.
#pragma once

#include <optional>

#include "engine/rtp/rtp_extensions.h"
#include "engine/rtp/rtp_packet.h"

namespace nexus {

struct OutgoingRtpHeader {
  bool marker = false;
  PayloadType payload_type;
  uint16_t sequence_number = 0;
  uint32_t timestamp = 0;
  Ssrc ssrc;
  uint32_t csrc = 0;
  bool video = false;   // selects the reserved extension: audio level, or video orientation
  RtpExtensionIds ids;  // the subscriber's
  uint32_t abs_send_time = 0;
  uint16_t transport_sequence_number = 0;
  std::optional<AudioLevel> audio_level;
  std::optional<uint8_t> video_orientation;
  ByteView dependency_descriptor;  // empty: none. Dropped when longer than 255 bytes.
};

// Enough for every header without a dependency descriptor; add the descriptor's size plus 8 otherwise.
inline constexpr size_t kMaxPlainRtpHeaderSize = 48;
inline constexpr size_t kMaxRtpHeaderSize = kMaxPlainRtpHeaderSize + 255 + 8;

// Returns the size written, or 0 if it does not fit.
size_t WriteRtpHeader(MutableByteView out, const OutgoingRtpHeader& header);

}  // namespace nexus
