// A probe cluster that is being sent: when its next packet is due.
#pragma once

#include <algorithm>

#include "engine/bwe/probe_bitrate.h"

namespace nexus {

class ActiveProbe {
 public:
  ActiveProbe(const ProbeCluster& cluster, Timestamp now) : cluster_(cluster), begin_(now) {}

  ProbeClusterId id() const { return cluster_.id; }
  void OnSent(size_t bytes) {
    bytes_ += bytes;
    ++packets_;
  }
  bool done() const { return packets_ >= cluster_.min_packets && bytes_ >= cluster_.min_bytes; }
  // When the next packet should leave.
  Timestamp due() const {
    return begin_ +
           Duration(static_cast<int64_t>(bytes_) * 8'000'000 / std::max<int64_t>(cluster_.target_bps, 1));
  }
  // True if the probe was delayed for so long that it no longer measures anything.
  bool stale(Timestamp now) const { return now - due() > kStale; }

 private:
  static constexpr Duration kStale = std::chrono::milliseconds(200);
  ProbeCluster cluster_;
  Timestamp begin_;
  size_t bytes_ = 0;
  int packets_ = 0;
};

}  // namespace nexus
