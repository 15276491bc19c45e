// Slots of one subscriber, and the allocation of its bandwidth to them: demands are collected from tracks and
// views, the allocator shares the bandwidth, and each slot gets a layer target.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/allocate/bandwidth_allocator.h"
#include "engine/subscribe/subscriber_slot.h"

namespace nexus {

class SubscriberSlots {
 public:
  SubscriberSlots(ShardContext& context, const SubscriberParts& parts) : context_(context), parts_(parts) {}

  // Null, with a reason, when it is refused.
  SubscriberSlot* Add(SlotId id, const SlotSettings& settings, Timestamp now, std::string_view& refusal);
  void Remove(SubscriberSlot& slot);
  void Clear() { slots_.clear(); }
  // Finds a slot by the SSRC of its media; null when there is none.
  SubscriberSlot* Find(Ssrc ssrc) const;
  const std::vector<std::unique_ptr<SubscriberSlot>>& all() const { return slots_; }

  // The subscriber is connected.
  void OnReady(Timestamp now);
  // Its codecs or extensions changed.
  void OnRenegotiated();

  void Allocate(Timestamp now);
  // Allocates soon if the estimate no longer covers what is sent, or leaves bandwidth for more.
  void AllocateAfterEstimate(Timestamp now);
  // The estimate has restarted.
  void ForgetAllocation();
  int64_t target_bps() const { return allocation_.target_bps; }
  uint64_t paused() const { return allocation_.allocator.paused(); }

  // Sends a probing packet of one of the video slots, in turn: a recent packet again, as a retransmission,
  // which the receiver drops as a repeat and which uses no sequence number of the media. Returns the bytes on
  // the wire, 0 when no slot has one.
  size_t SendPadding(Timestamp now);

 private:
  struct Allocation {
    BandwidthAllocator allocator;
    Timestamp last{};
    int64_t for_bps = 0;  // the estimate at the time
    int64_t target_bps = 0;
  };
  void CollectDemands(Timestamp now);

  ShardContext& context_;
  SubscriberParts parts_;
  std::vector<std::unique_ptr<SubscriberSlot>> slots_;
  std::unordered_map<Ssrc, SubscriberSlot*> by_ssrc_;
  Allocation allocation_;
  size_t padding_turn_ = 0;
  std::vector<SlotDemand> demands_;  // scratch
  std::vector<SubscriberSlot*> demanding_;
};

}  // namespace nexus
