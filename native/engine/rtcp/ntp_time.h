// NTP time, 32.32 fixed point seconds (RFC 3550 §4).
#pragma once

#include <compare>
#include <cstdint>

#include "engine/base/time.h"

namespace nexus {

struct NtpTime {
  uint64_t value = 0;

  // The middle 32 bits, as in LSR.
  uint32_t compact() const { return static_cast<uint32_t>(value >> 16); }
  // Microseconds since the beginning of the NTP era. They wrap with the era, so only differences are
  // meaningful.
  int64_t micros() const {
    const uint64_t fraction = (value & 0xFFFFFFFFu) * 1'000'000u + (1u << 31);
    return static_cast<int64_t>((value >> 32) * 1'000'000u + (fraction >> 32));
  }
  static NtpTime FromMicros(int64_t us) {
    const uint64_t seconds = static_cast<uint64_t>(us) / 1'000'000u;
    const uint64_t rest = static_cast<uint64_t>(us) % 1'000'000u;
    return NtpTime{seconds << 32 | ((rest << 32) + 500'000u) / 1'000'000u};
  }
  friend auto operator<=>(const NtpTime&, const NtpTime&) = default;
};

// The SFU's NTP time is its engine clock: receivers only compare streams of one SFU, so the era does not
// matter. The shift keeps it far from zero.
inline constexpr int64_t kNtpEpochShiftUs = int64_t{1} << 50;
inline NtpTime NtpFromTimestamp(Timestamp now) {
  return NtpTime::FromMicros(now.time_since_epoch().count() + kNtpEpochShiftUs);
}
inline Timestamp TimestampFromNtp(NtpTime ntp) {
  return TimestampFromMicros(ntp.micros() - kNtpEpochShiftUs);
}

}  // namespace nexus
