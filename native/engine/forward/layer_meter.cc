#include "engine/forward/layer_meter.h"

#include <algorithm>

namespace nexus {
namespace {

template <class Combine>
void ForEachLayer(LayerRates& into, const LayerRates& from, Combine combine) {
  for (size_t s = 0; s < kMaxSpatialLayers; ++s) {
    for (size_t t = 0; t < kMaxTemporalLayers; ++t) into[s][t] = combine(into[s][t], from[s][t]);
  }
}

}  // namespace

bool LayerMeter::WindowEnds(Timestamp now) const {
  const Duration length = now - begin_;
  return length >= kSlowWindow || (length >= kWindow && frames_ >= kFramesOfAWindow);
}

LayerRates LayerMeter::Measured(Timestamp now) const {
  const auto us = static_cast<uint64_t>(std::max<int64_t>((now - begin_).count(), 1));
  LayerRates rates{};
  ForEachLayer(rates, bytes_, [us](uint64_t, uint64_t bytes) { return bytes * 8 * 1'000'000 / us; });
  return rates;
}

void LayerMeter::OnPacket(uint8_t spatial, uint8_t temporal, size_t bytes, bool frame_start, Timestamp now) {
  if (!running_) {
    running_ = true;
    begin_ = now;
  } else if (frame_start && WindowEnds(now)) {
    // The mean of old and new, so that one keyframe in a window does not change the allocation of all slots.
    const bool smooth = measured_;
    ForEachLayer(rates_, Measured(now), [smooth](uint64_t before, uint64_t measured) {
      return smooth && before != 0 && measured != 0 ? (before + measured) / 2 : measured;
    });
    measured_ = true;
    bytes_ = {};
    begin_ = now;
    frames_ = 0;
  }
  if (frame_start) ++frames_;
  bytes_[std::min<size_t>(spatial, kMaxSpatialLayers - 1)]
        [std::min<size_t>(temporal, kMaxTemporalLayers - 1)] += bytes;
}

LayerRates LayerMeter::Rates(Timestamp now) const {
  if (measured_) return rates_;
  if (!running_ || now - begin_ < kFirstLook) return {};
  return Measured(now);
}

}  // namespace nexus
