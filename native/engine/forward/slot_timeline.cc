#include "engine/forward/slot_timeline.h"

namespace nexus {
namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;

int64_t FloorDiv(int64_t value, int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

}  // namespace

int64_t SlotTimeline::ToRtp(Duration duration) const {
  return FloorDiv(duration.count() * clock_rate_, kMicrosPerSecond);
}

Duration SlotTimeline::ToDuration(int64_t rtp) const {
  return Duration(rtp * kMicrosPerSecond / clock_rate_);
}

int64_t SlotTimeline::RtpAt(Timestamp time) const { return rtp_at_epoch_ + ToRtp(time - epoch_); }

}  // namespace nexus
