// A token bucket: a rate limit that allows bursts. Time is a parameter.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/time.h"

namespace nexus {

class TokenBucket {
 public:
  TokenBucket(double per_second, double burst, Timestamp now)
      : per_second_(per_second), burst_(burst), tokens_(burst), filled_(now) {}

  // True while tokens are left. `Take` may then go below zero, so that one item may be larger than the burst.
  bool available(Timestamp now) {
    if (now > filled_) {
      const double seconds = static_cast<double>((now - filled_).count()) / 1e6;
      tokens_ = std::min(burst_, tokens_ + seconds * per_second_);
      filled_ = now;
    }
    return tokens_ > 0;
  }
  void Take(double amount) { tokens_ -= amount; }

 private:
  double per_second_;
  double burst_;
  double tokens_;
  Timestamp filled_;
};

}  // namespace nexus
