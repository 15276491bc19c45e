// The SPS and PPS that an H.264 source has sent (H.264 section 7.4.1.2.1), as one packet for later viewers:
// many hardware encoders, and ffmpeg by default, send them only once.
#pragma once

#include <optional>
#include <vector>

#include "engine/base/bytes.h"

namespace nexus {

class ParameterSets {
 public:
  // Bounds: all sets must fit into one packet. A source usually has one of each; streams with more are rare.
  static constexpr size_t kMaxBytes = 1'100;
  static constexpr size_t kMaxSets = 16;

  // Learns from single NAL units and STAP-A (no encoder fragments parameter sets). True if something is new.
  bool OnPayload(ByteView payload);
  // True if a decoder can begin with the sets.
  bool complete() const { return has_sps_ && has_pps_; }
  // STAP-A (RFC 6184 section 5.7.1), with the SPS first.
  std::vector<uint8_t> ToPayload() const;

 private:
  struct Set {
    bool pps = false;
    uint32_t id = 0;
    std::vector<uint8_t> unit;
  };
  bool Learn(ByteView unit);

  std::vector<Set> sets_;
  size_t bytes_ = 1;  // of ToPayload
  bool has_sps_ = false;
  bool has_pps_ = false;
};

}  // namespace nexus
