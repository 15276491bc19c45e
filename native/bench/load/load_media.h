// Media of the load's publishers: frames whose sizes follow a real encoder's (a keyframe of several times the
// mean, then log-normal deltas held to the rate). Each packet contains its sending time, so that a receiver
// in this process can measure the latency.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/time.h"

namespace nexus::load {

// Sending time in the last bytes of a packet's payload.
struct SendStamp {
  static constexpr size_t kSize = 12;
  static constexpr uint32_t kMagic = 0x4E585354;
  static void Write(MutableByteView payload, Timestamp now) {
    if (payload.size() < kSize) return;
    ByteWriter writer(payload.last(kSize));
    writer.U32(kMagic);
    writer.U64(static_cast<uint64_t>(now.time_since_epoch().count()));
  }
  static std::optional<Timestamp> Read(ByteView payload) {
    if (payload.size() < kSize) return std::nullopt;
    ByteReader reader(payload.last(kSize));
    if (reader.U32() != kMagic) return std::nullopt;
    return TimestampFromMicros(static_cast<int64_t>(reader.U64()));
  }
};

// Frame sizes of an encoder with one-second rate control. The spread (sigma 0.3) and the size of a keyframe
// (6 mean frames) have the order of magnitude of libvpx's realtime mode on talking heads.
class FrameSizes {
 public:
  FrameSizes(uint64_t bitrate_bps, unsigned frames_per_second, uint64_t seed)
      : mean_(static_cast<double>(bitrate_bps) / 8 / frames_per_second),
        most_debt_(mean_ * frames_per_second / 2),
        random_(seed) {}

  size_t Next(bool keyframe) {
    constexpr double kSigma = 0.3;
    const double spread = std::exp(normal_(random_) * kSigma - kSigma * kSigma / 2);
    const double wanted = keyframe ? mean_ * 6 : mean_ * spread;
    // An excess over the rate is saved over the next frames, at most 40 % of each. The load must not shrink
    // because a server requests many keyframes.
    const double saved = keyframe ? 0 : std::min(debt_, wanted * 0.4);
    const double size = std::max(wanted - saved, 60.0);
    debt_ = std::clamp(debt_ + size - mean_, 0.0, most_debt_);
    return static_cast<size_t>(size);
  }

 private:
  double mean_;
  double most_debt_;  // half a second: an encoder does not compensate many keyframes for minutes
  double debt_ = 0;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
};

}  // namespace nexus::load
