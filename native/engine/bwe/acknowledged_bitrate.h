// How fast data really arrives at the peer, by its feedback: windows of 150 ms, each weighed by how far it
// lies from what is believed, so that a burst or a pause does not throw the figure about.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/time.h"

namespace nexus {

class AcknowledgedBitrate {
 public:
  // In order of arrival, on the peer's clock.
  void OnArrival(Timestamp arrived, size_t bytes);
  // There was less to send than could be: the next windows may be believed faster.
  void OnApplicationLimitedEnded() { deviation_ += 200; }
  // Something was probed or dropped: old figures mean little.
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
