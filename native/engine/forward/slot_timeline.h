// A slot's mapping from NTP to RTP time, fixed for life: all slots of an SFU use one clock, so that the
// receiver can synchronise audio and video of a pair whatever sources they carry.
#pragma once

#include "engine/base/time.h"
#include "engine/rtcp/ntp_time.h"

namespace nexus {

class SlotTimeline {
 public:
  SlotTimeline(uint32_t clock_rate, Timestamp epoch, uint32_t rtp_at_epoch)
      : clock_rate_(clock_rate), epoch_(epoch), rtp_at_epoch_(rtp_at_epoch) {}

  // Unwrapped; the low 32 bits are sent.
  int64_t RtpAt(Timestamp time) const;
  int64_t ToRtp(Duration duration) const;
  uint32_t clock_rate() const { return clock_rate_; }

 private:
  uint32_t clock_rate_;
  Timestamp epoch_;
  int64_t rtp_at_epoch_;
};

}  // namespace nexus
