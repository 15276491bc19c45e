// Delivery of packets from tracks to sinks and slots. While a batch of datagrams is read, packets are
// collected, then forwarded subscriber by subscriber: each subscriber's keys, history and pacer are loaded
// once for a run of packets instead of once for each packet, and the run is contiguous in what is sent.
// Outside of a batch a packet is forwarded at once. References are collected, not packets: what a ring has
// dropped meanwhile is not sent.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/time.h"
#include "engine/forward/source_packet.h"

namespace nexus {

class DropCounters;
class LayerIndex;
class PublishedLayer;
class RunBuilder;

class FanOut {
 public:
  // Maximum number of collected packets: far fewer than any ring holds.
  static constexpr size_t kMaxCollected = 64;
  // Size of the outgoing batch at which it is sent, so that it stays within the caches and the batch's bound.
  static constexpr size_t kSendAt = 4u << 20;

  FanOut(const LayerIndex& layers, const RunBuilder& out, DropCounters& drops, bool pad_runs)
      : layers_(layers), out_(out), drops_(drops), pad_runs_(pad_runs) {
    collected_.reserve(kMaxCollected);
    burst_.reserve(kMaxCollected);
  }

  void BeginBatch() { collecting_ = true; }
  void EndBatch() { collecting_ = false; }
  bool full() const { return collected_.size() >= kMaxCollected; }
  // Redundant audio: one datagram may bring several packets.
  bool nearly_full() const { return collected_.size() >= kMaxCollected / 2; }
  // Notes which encodings of the track are live, before `Deliver` of a packet that is no retransmission. If
  // that changes routes, earlier packets are forwarded first.
  void NoteArrival(PublishedLayer& layer, const SourcePacket& packet, Timestamp now);
  // Delivers a packet of its layer's ring: to the sinks of its track at once, to its slots with the burst.
  void Deliver(PublishedLayer& layer, const SourcePacket& packet, Timestamp now);
  // Forwards collected packets. True: the outgoing batch is full before all are forwarded.
  bool ForwardSome(Timestamp now);
  // Forwards all of them, before a change that must take effect behind them.
  void Flush(Timestamp now) {
    while (ForwardSome(now)) {
    }
  }

 private:
  struct Collected {
    LayerId layer;
    int64_t sequence_number;
  };
  bool NextBurst();
  bool ForwardBurst(Timestamp now);
  void PadBurst(PublishedLayer& layer);

  const LayerIndex& layers_;
  const RunBuilder& out_;
  DropCounters& drops_;
  bool pad_runs_;
  bool collecting_ = false;
  std::vector<Collected> collected_;
  size_t position_ = 0;  // packets before it are forwarded, or in the burst
  PublishedLayer* layer_ = nullptr;
  std::vector<const SourcePacket*> burst_;
  size_t next_slot_ = 0;  // slots before it on the route have the burst
};

}  // namespace nexus
