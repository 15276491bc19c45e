// The way of packets from tracks to sinks and slots. While a batch of datagrams is read, packets are
// collected, then forwarded subscriber by subscriber: each subscriber's keys, history and pacer are loaded
// once for a run of packets instead of once for each packet, and the run lies end to end in what is sent.
// Outside of a batch a packet is forwarded at once. Collected are references, not packets: what a ring has
// lost meanwhile is not sent.
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
  // More are forwarded at once: far fewer than any ring holds.
  static constexpr size_t kMaxCollected = 64;
  // What waits to be sent should leave before it grows beyond the caches, and beyond the batch's bound.
  static constexpr size_t kSendAt = 4u << 20;

  FanOut(const LayerIndex& layers, const RunBuilder& out, DropCounters& drops, bool pad_runs)
      : layers_(layers), out_(out), drops_(drops), pad_runs_(pad_runs) {
    collected_.reserve(kMaxCollected);
    burst_.reserve(kMaxCollected);
  }

  void BeginBatch() { collecting_ = true; }
  void EndBatch() { collecting_ = false; }
  bool full() const { return collected_.size() >= kMaxCollected; }
  // One datagram may bring several packets: redundant audio.
  bool nearly_full() const { return collected_.size() >= kMaxCollected / 2; }
  // Before `Deliver`, for a packet that its source sent just now: which encodings of its track are alive.
  // What came before is forwarded first where that changes routes.
  void NoteArrival(PublishedLayer& layer, const SourcePacket& packet, Timestamp now);
  // A packet that its layer's ring holds: to the sinks of its track at once, to its slots with the burst.
  void Deliver(PublishedLayer& layer, const SourcePacket& packet, Timestamp now);
  // Forwards what was collected. True: not all yet, as enough of it waits to be sent.
  bool ForwardSome(Timestamp now);
  // All of it: before anything that is to be seen behind the packets that came first.
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
  size_t position_ = 0;  // those before are forwarded, or are the burst
  PublishedLayer* layer_ = nullptr;
  std::vector<const SourcePacket*> burst_;
  size_t next_slot_ = 0;  // those before on the burst's route have it
};

}  // namespace nexus
