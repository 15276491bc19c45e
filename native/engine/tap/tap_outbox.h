// The backlogs of many taps, and the taps that have records. The core uses it for the records of a tick, the
// edge for those that readers have not fetched.
#pragma once

#include <deque>
#include <optional>
#include <unordered_map>

#include "engine/tap/tap_backlog.h"

namespace nexus {

class TapOutbox {
 public:
  // A tap's backlog exists from Open until Close, or until its last batch is fetched.
  void Open(TapId tap, size_t max_bytes) { boxes_.try_emplace(tap, max_bytes); }
  void Close(TapId tap) { boxes_.erase(tap); }
  bool contains(TapId tap) const { return boxes_.contains(tap); }
  size_t size() const { return boxes_.size(); }
  size_t bytes() const;

  // Drops the batch if the tap does not exist, because its reader has left.
  void Push(TapBatch batch);
  // The next batch of the tap that has waited longest.
  std::optional<TapBatch> Poll();

  // Taps that have received records since the last call.
  std::vector<TapId> TakeReady();
  // Joins batches of one tap, at least one if there is any, up to about `limit` bytes.
  TapBatch Take(TapId tap, size_t limit);

 private:
  struct Box {
    explicit Box(size_t max_bytes) : backlog(max_bytes) {}
    TapBacklog backlog;
    bool ready = false;  // the tap is in `ready_`
  };
  std::unordered_map<TapId, Box> boxes_;
  std::deque<TapId> ready_;
};

}  // namespace nexus
