// The rate at which data arrives at the peer, by its feedback: windows of 150 ms, weighted by their distance
// from the estimate, so that a burst or a pause does not disturb it.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/time.h"

namespace nexus {

class AcknowledgedBitrate {
 public:
  // Takes packets in the order of arrival; `arrived` is on the peer's clock.
  void OnArrival(Timestamp arrived, size_t bytes);
  // The sender was application-limited until now: the next windows weigh more.
  void OnApplicationLimitedEnded() { deviation_ += 200; }
  // A probe or a drop makes old samples obsolete.
  void ExpectFastChange() { deviation_ += 200; }
  std::optional<int64_t> bitrate_bps() const;

 private:
  void Learn(double sample_kbps, bool small);

  double estimate_kbps_ = -1;
  double deviation_ = 50;
  size_t window_bytes_ = 0;
  Duration window_length_{0};
  std::optional<Timestamp> last_arrival_;
};

}  // namespace nexus
