// Outgoing relay messages: one batch per other shard, fetched once per tick. While the queue of a shard is
// full, packets and data for it are dropped here, at the source; all other messages are always sent.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "engine/relay/relay_message.h"

namespace nexus {

struct RelayBatch {
  uint16_t to = 0;
  std::vector<uint8_t> bytes;
};

class RelayOutbox {
 public:
  void Send(uint16_t to, const RelayMessage& message) { WriteRelay(message, peers_[to].bytes); }
  // Sends a message of a kind that can be large. False, and nothing is sent, if the queue is full.
  template <class Bulk>
  bool SendBulk(uint16_t to, const Bulk& packet) {
    Peer& peer = peers_[to];
    if (peer.congested || peer.bytes.size() >= kMaxBytes) return false;
    WriteRelay(packet, peer.bytes);
    return true;
  }
  void SetCongested(uint16_t to, bool congested) { peers_[to].congested = congested; }

  std::optional<RelayBatch> Poll() {
    for (auto& [to, peer] : peers_) {
      if (!peer.bytes.empty()) return RelayBatch{to, std::exchange(peer.bytes, {})};
    }
    return std::nullopt;
  }
  bool empty() const {
    for (const auto& [to, peer] : peers_) {
      if (!peer.bytes.empty()) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kMaxBytes = 8u << 20;  // of one tick
  struct Peer {
    std::vector<uint8_t> bytes;
    bool congested = false;
  };
  std::map<uint16_t, Peer> peers_;
};

}  // namespace nexus
