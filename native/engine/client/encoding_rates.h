// Allocation of a sender's rate to the encodings of one simulcast source, lowest first, as in libwebrtc: a
// layer is on only when its minimum fits in addition to the targets of all below it, and is resumed only with
// a margin.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nexus {

struct EncodingLimits {
  uint64_t min_bps = 0;
  uint64_t target_bps = 0;
  uint64_t max_bps = 0;
  bool wanted = true;  // false: outside of the layer demand that the SFU has reported
};

class EncodingRates {
 public:
  explicit EncodingRates(std::vector<EncodingLimits> limits);

  // Rate of each encoding, 0: off. The lowest one that is wanted is never off.
  std::span<const uint64_t> Allocate(uint64_t available_bps);
  void SetWanted(size_t encoding, bool wanted);
  std::span<const EncodingLimits> limits() const { return limits_; }

 private:
  std::vector<EncodingLimits> limits_;
  std::vector<uint64_t> rates_;
};

}  // namespace nexus
