// The slots of one subscriber, and what each of them gets of its bandwidth: demands collected from tracks and
// preferences, shared out by the allocator, carried out as layer targets.
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

  // Null, with a reason, when it cannot be.
  SubscriberSlot* Add(SlotId id, const SlotSettings& settings, Timestamp now, std::string_view& refusal);
  void Remove(SubscriberSlot& slot);
  void Clear() { slots_.clear(); }
  // By the SSRC of its media; null when there is none.
  SubscriberSlot* Find(Ssrc ssrc) const;
  const std::vector<std::unique_ptr<SubscriberSlot>>& all() const { return slots_; }

  // The subscriber's connection is up.
  void OnReady(Timestamp now);
  // Its codecs or extensions changed.
  void OnRenegotiated();

  void Allocate(Timestamp now);
  // At once when what is sent no longer fits, or when there may be room for more.
  void AllocateAfterEstimate(Timestamp now);
  // The estimate begins anew.
  void ForgetAllocation();
  int64_t target_bps() const { return allocation_.target_bps; }
  uint64_t paused() const { return allocation_.allocator.paused(); }

  // A packet for probing from one of the video slots, in turn: what was sent lately again, as a
  // retransmission; the receiver drops it as a repeat, and no number of the media's own is used up. The bytes
  // on the wire, 0 when no slot has one.
  size_t SendPadding(Timestamp now);

 private:
  struct Allocation {
    BandwidthAllocator allocator;
    Timestamp last{};
    int64_t for_bps = 0;  // the estimate at that time
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
