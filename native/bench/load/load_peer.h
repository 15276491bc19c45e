// One person of a load: a client with what it publishes and what it watches, and what it has seen of both.
#pragma once

#include <array>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/load/load_media.h"
#include "engine/client/client.h"
#include "engine/client/packetizer.h"
#include "engine/room/deadline_heap.h"

namespace nexus::load {

struct PublishSpec {
  SendStreamConfig stream;
  uint64_t bitrate_bps = 0;
  unsigned frames_per_second = 30;  // video
  size_t audio_bytes = 80;          // 32 kbit/s at 20 ms
};

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
  void Clear() { *this = LatencyHistogram(); }

 private:
  static constexpr Duration kStep{50};
  static constexpr int64_t kSteps = 40'000;
  std::vector<uint32_t> counts_ = std::vector<uint32_t>(kSteps, 0);
  uint64_t total_ = 0;
};

// Whole pictures by header alone: a marker ends one, and all numbers since the last marker must have come,
// some of them late by repair (two frames count as one when the marker between them was lost). A freeze is
// what webrtc-stats calls one: a pause longer than the larger of three mean intervals and the mean plus 150
// ms.
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

struct LoadTotals {
  uint64_t media_in = 0;
  uint64_t media_bytes_in = 0;
  uint64_t pictures = 0;
  uint64_t freezes = 0;
  LatencyHistogram latency;
};

class LoadPeer {
 public:
  LoadPeer(uint32_t index, ClientConfig config, RunBuilder& out, LoadTotals& totals);

  void Publish(const PublishSpec& spec);
  void Receive(const ReceiveStreamConfig& config) { client_.AddReceiveStream(config); }
  void HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp received, Timestamp now);
  // A poor network: so many percent of the media and feedback that comes is lost on its last metre.
  void SetLoss(double percent) { loss_ = percent / 100; }
  void RequestKeyframes();
  uint64_t lost_on_purpose() const { return lost_on_purpose_; }
  // Feedback and media that are due.
  void HandleTimeout(Timestamp now);
  Timestamp NextDeadline() const;

  uint32_t index() const { return index_; }
  Client& client() { return client_; }
  const Client& client() const { return client_; }
  const std::unordered_map<const ReceiveStream*, WatchedVideo>& watched() const { return watched_; }
  Deadline deadline;
  bool dirty = false;

 private:
  struct Encoding {
    SendStream* stream;
    FrameSizes sizes;
  };
  struct Source {
    PublishSpec spec;
    std::vector<Encoding> encodings;
    std::vector<Packetizer> packetizers;
    Timestamp next;
    Timestamp first;
    uint64_t frames = 0;
  };
  void SendFrame(Source& source, Timestamp now);
  void SendAudio(Source& source, Timestamp now);

  uint32_t index_;
  double loss_ = 0;
  uint64_t lost_on_purpose_ = 0;
  std::minstd_rand random_;
  Client client_;
  LoadTotals& totals_;
  std::vector<Source> sources_;  // encodings of one MID are one source
  std::vector<uint8_t> frame_;
  std::unordered_map<const ReceiveStream*, WatchedVideo> watched_;
};

}  // namespace nexus::load
