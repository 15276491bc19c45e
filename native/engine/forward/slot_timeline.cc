#include "engine/forward/slot_timeline.h"

namespace nexus {
namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;

int64_t FloorDiv(int64_t value, int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

}  // namespace

// Seconds and remainder are converted separately, so that no product overflows.
int64_t SlotTimeline::ToRtp(Duration duration) const {
  const int64_t seconds = FloorDiv(duration.count(), kMicrosPerSecond);
  const int64_t rest = duration.count() - seconds * kMicrosPerSecond;
  return seconds * clock_rate_ + rest * clock_rate_ / kMicrosPerSecond;
}

int64_t SlotTimeline::RtpAt(Timestamp time) const { return rtp_at_epoch_ + ToRtp(time - epoch_); }

}  // namespace nexus
