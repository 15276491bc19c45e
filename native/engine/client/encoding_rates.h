// How a sender spreads its rate over the encodings of one simulcast source, lowest first, as libwebrtc's
// senders do: a layer is on only when its minimum fits beside the targets of all below it, and comes back
// only with room to spare.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nexus {

struct EncodingLimits {
  uint64_t min_bps = 0;
  uint64_t target_bps = 0;
  uint64_t max_bps = 0;
  bool wanted = true;  // false: the SFU said that nobody watches it (dynacast)
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
