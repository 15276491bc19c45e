// The header of a packet to a subscriber: 12 fixed bytes, exactly one CSRC (the source's number), one
// extension block whose length depends only on what was negotiated, so that packets of a slot can share a GSO
// run. The dependency descriptor alone may vary.
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
  bool video = false;   // which extensions have their place reserved: audio level, or video orientation
  RtpExtensionIds ids;  // the subscriber's
  uint32_t abs_send_time = 0;
  uint16_t transport_sequence_number = 0;
  std::optional<AudioLevel> audio_level;
  std::optional<uint8_t> video_orientation;
  ByteView dependency_descriptor;  // empty: none. Dropped when longer than 255 bytes.
};

// Enough for every header without a dependency descriptor; add its size plus 8 otherwise.
inline constexpr size_t kMaxPlainRtpHeaderSize = 48;
inline constexpr size_t kMaxRtpHeaderSize = kMaxPlainRtpHeaderSize + 255 + 8;

// The size written, 0 when it does not fit.
size_t WriteRtpHeader(MutableByteView out, const OutgoingRtpHeader& header);

}  // namespace nexus
