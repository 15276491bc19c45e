// Packets to one subscriber that wait for their turn: references, no payload. What is sent is read from the
// publisher's ring when it leaves. Retransmissions go before media; both are bounded.
#pragma once

#include <deque>
#include <optional>

#include "engine/forward/assembler.h"

namespace nexus {

// Header, extensions and tag: what a packet is on the wire beside its payload, about.
inline constexpr size_t kTypicalOverhead = 44;

struct QueuedPacket {
  OutgoingStream stream;
  Rewritten rewritten;
  LayerId layer;
  int64_t source_sequence = 0;
  std::optional<int64_t> rtx_sequence;  // it is a retransmission
  uint16_t size = 0;                    // about what will be on the wire
};

class SendQueue {
 public:
  static constexpr size_t kMaxPackets = 2'048;
  static constexpr size_t kMaxRetransmissions = 512;

  // False: too much waits already.
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
  // What waits of this stream is of no use any more: of media only the numbers go out, so that the receiver
  // misses nothing, of retransmissions nothing. Returns how many.
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
