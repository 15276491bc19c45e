// Measurements of one stream at one viewer: frames and freezes, latency of its packets, and the time of the
// first frame that could be shown. Packets that were sent before the viewer connected (a server may replay
// them from a cache) have no latency in this sense: they are counted apart, for all servers.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "bench/load/keyframe_watch.h"
#include "bench/load/load_media.h"
#include "engine/client/client.h"

namespace nexus::load {

// Latencies in steps of 50 µs up to two seconds, for all peers together.
class LatencyHistogram {
 public:
  void Add(Duration latency) {
    const int64_t step = std::clamp<int64_t>(latency / kStep, 0, kSteps - 1);
    ++counts_[static_cast<size_t>(step)];
    ++total_;
  }
  double QuantileMs(double quantile) const {
    uint64_t sum = 0;
    for (size_t i = 0; i < kSteps; ++i) {
      sum += counts_[i];
      if (total_ > 0 && static_cast<double>(sum) >= quantile * static_cast<double>(total_)) {
        return static_cast<double>((static_cast<int64_t>(i) + 1) * kStep.count()) / 1'000;
      }
    }
    return 0;
  }
  uint64_t total() const { return total_; }

 private:
  static constexpr Duration kStep{50};
  static constexpr int64_t kSteps = 40'000;
  std::vector<uint32_t> counts_ = std::vector<uint32_t>(kSteps, 0);
  uint64_t total_ = 0;
};

// Totals of all peers since measuring began.
struct LoadTotals {
  Timestamp began{};
  uint64_t media_in = 0;
  uint64_t media_bytes_in = 0;
  uint64_t keyframes_made = 0;         // frames of publishers, all encodings of a source as one
  LatencyHistogram latency;            // of packets sent after their viewer connected, sampled
  LatencyHistogram settled_latency;    // those of them to viewers from before measuring began
  LatencyHistogram newcomers_latency;  // those of them to viewers that joined since
  LatencyHistogram earlier;            // age of packets sent before their viewer connected, not sampled
  void Begin(Timestamp now) { *this = LoadTotals{.began = now}; }
};

// Counts complete frames by RTP header alone: a marker ends a frame, and all numbers since the last marker
// must have arrived, some possibly late (two frames count as one if the marker between them was lost). A
// freeze is defined as in webrtc-stats: an interval longer than the larger of three mean intervals and the
// mean plus 150 ms.
struct WatchedVideo {
  static constexpr size_t kMaxIncomplete = 32;
  struct Incomplete {
    int64_t first;
    int64_t last;
    int64_t missing;
  };
  std::vector<Incomplete> incomplete;
  int64_t last_marker = -1;
  int64_t since_marker = 0;
  Timestamp last_picture{};
  double mean_interval_us = 33'000;
  uint64_t pictures = 0;
  uint64_t freezes = 0;
  void OnPacket(const ReceivedMedia& media, Timestamp now);
  void OnPicture(Timestamp now);
};

class WatchedStream {
 public:
  WatchedStream(ReceiveStream& stream, Timestamp added) : stream_(&stream), added_(added) {
    stream.opened_whole = true;
  }

  // `connected`: when the viewer connected; `newcomer`: it joined since measuring began.
  void OnPacket(const Received& received, const Client& viewer, Timestamp connected, bool newcomer,
                Timestamp now, LoadTotals& totals);

  MediaKind kind() const { return stream_->config().kind; }
  const WatchedVideo& pictures() const { return pictures_; }
  std::optional<Timestamp> first_frame() const { return first_frame_; }

 private:
  void CountLatency(const Received& received, Timestamp connected, bool newcomer, Timestamp now,
                    LoadTotals& totals);
  void AwaitKeyframe(const ReceivedMedia& media, const Client& viewer, Timestamp now);

  ReceiveStream* stream_;
  Timestamp added_;
  bool caught_up_ = false;  // a packet arrived that was sent after the viewer connected
  WatchedVideo pictures_;
  std::unique_ptr<KeyframeWatch> awaited_;
  std::optional<Timestamp> first_frame_;
};

}  // namespace nexus::load
