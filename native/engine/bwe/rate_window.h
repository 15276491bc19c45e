// A bitrate over a sliding window of ten steps of `kStepMicros` each, in 48 bytes.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/time.h"

namespace nexus {

template <int64_t kStepMicros>
class RateWindow {
 public:
  void Add(size_t bytes, Timestamp now) {
    Advance(now);
    buckets_[static_cast<size_t>(last_ % kBuckets)] += static_cast<uint32_t>(bytes);
  }
  int64_t bitrate_bps(Timestamp now) {
    Advance(now);
    int64_t bytes = 0;
    for (const uint32_t bucket : buckets_) bytes += bucket;
    return bytes * 8 * 1'000'000 / (kBucket.count() * kBuckets);
  }

 private:
  static constexpr int64_t kBuckets = 10;
  static constexpr Duration kBucket{kStepMicros};
  void Advance(Timestamp now) {
    const int64_t current = now.time_since_epoch() / kBucket;
    if (current - last_ >= kBuckets) {
      buckets_ = {};
      last_ = current;
    }
    while (last_ < current) buckets_[static_cast<size_t>(++last_ % kBuckets)] = 0;
  }
  std::array<uint32_t, kBuckets> buckets_{};
  int64_t last_ = 0;
};

}  // namespace nexus
