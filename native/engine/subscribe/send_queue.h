// Queue of packets to one subscriber. It holds references; the payload is read from the publisher's ring when
// a packet is sent. Retransmissions precede media. Both are bounded.
#pragma once

#include <deque>
#include <optional>

#include "engine/forward/assembler.h"

namespace nexus {

// Typical size of header, extensions and tag of a packet.
inline constexpr size_t kTypicalOverhead = 44;

struct QueuedPacket {
  OutgoingStream stream;
  Rewritten rewritten;
  LayerId layer;
  int64_t source_sequence = 0;
  std::optional<int64_t> rtx_sequence;  // of a retransmission
  uint16_t size = 0;                    // estimate of its bytes on the wire
};

class SendQueue {
 public:
  static constexpr size_t kMaxPackets = 2'048;
  static constexpr size_t kMaxRetransmissions = 512;

  // False: the queue is full.
  bool Push(const QueuedPacket& packet) {
    std::deque<QueuedPacket>& lane = packet.rtx_sequence ? retransmissions_ : media_;
    if (lane.size() >= (packet.rtx_sequence ? kMaxRetransmissions : kMaxPackets)) return false;
    lane.push_back(packet);
    bytes_ += packet.size;
    return true;
  }
  std::optional<QueuedPacket> Pop() {
    std::deque<QueuedPacket>& lane = retransmissions_.empty() ? media_ : retransmissions_;
    if (lane.empty()) return std::nullopt;
    const QueuedPacket packet = lane.front();
    lane.pop_front();
    bytes_ -= packet.size;
    return packet;
  }
  // Drops the payloads of a stream: its media packets are sent empty, so that the receiver misses no number,
  // and its retransmissions not at all. Returns their number.
  size_t MakeEmpty(Ssrc ssrc) {
    size_t emptied = std::erase_if(retransmissions_, [&](const QueuedPacket& packet) {
      if (packet.stream.ssrc != ssrc) return false;
      bytes_ -= packet.size;
      return true;
    });
    for (QueuedPacket& packet : media_) {
      if (packet.stream.ssrc != ssrc || packet.rewritten.empty) continue;
      packet.rewritten.empty = true;
      bytes_ -= packet.size - kTypicalOverhead;
      packet.size = kTypicalOverhead;
      ++emptied;
    }
    return emptied;
  }
  bool empty() const { return media_.empty() && retransmissions_.empty(); }
  size_t size() const { return media_.size() + retransmissions_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  std::deque<QueuedPacket> media_;
  std::deque<QueuedPacket> retransmissions_;
  size_t bytes_ = 0;
};

}  // namespace nexus
