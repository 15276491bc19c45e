// H.264 in RTP (RFC 6184): the start of a keyframe, and the profile-level-id of SDP.
#pragma once

#include <optional>
#include <string_view>

#include "engine/base/bytes.h"

namespace nexus {

struct H264Packet {
  bool has_sps = false;
  bool has_pps = false;
  bool idr_start = false;  // an IDR slice begins here
  bool frame_slice_start = false;
};
// Single NAL unit, STAP-A and FU-A (packetization modes 0 and 1).
std::optional<H264Packet> ParseH264Payload(ByteView payload);

class H264Inspector {
 public:
  // A keyframe begins at its SPS, which may be in its own packet. If the source has never sent an SPS (it is
  // in SDP), the keyframe begins at the IDR slice.
  struct Result {
    bool keyframe_start = false;
    bool frame_start = false;
    bool bare_idr = false;  // an IDR slice begins without its parameter sets
  };
  Result Inspect(ByteView payload, uint32_t rtp_timestamp);

 private:
  bool seen_sps_ = false;
  std::optional<uint32_t> keyframe_timestamp_;
  std::optional<uint32_t> sps_timestamp_;
  std::optional<uint32_t> last_timestamp_;
};

// RFC 6184 §8.1: profile_idc, profile-iop, level_idc.
enum class H264Profile : uint8_t { kConstrainedBaseline, kBaseline, kMain, kConstrainedHigh, kHigh, kOther };
struct H264ProfileLevel {
  H264Profile profile = H264Profile::kOther;
  uint8_t level_idc = 0;
};
std::optional<H264ProfileLevel> ParseProfileLevelId(std::string_view hex);

}  // namespace nexus
