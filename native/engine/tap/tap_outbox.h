// The backlogs of many taps, and which of them have something: in the core it is what a tick has made, at the
// edge it is what readers have not fetched.
#pragma once

#include <deque>
#include <optional>
#include <unordered_map>

#include "engine/tap/tap_backlog.h"

namespace nexus {

class TapOutbox {
 public:
  // A tap's backlog is there from Open until Close, or until its last batch is fetched.
  void Open(TapId tap, size_t max_bytes) { boxes_.try_emplace(tap, max_bytes); }
  void Close(TapId tap) { boxes_.erase(tap); }
  bool contains(TapId tap) const { return boxes_.contains(tap); }
  size_t size() const { return boxes_.size(); }
  size_t bytes() const;

  // For a tap that is not there: dropped, its reader has left.
  void Push(TapBatch batch);
  // The next batch of whichever tap has waited longest.
  std::optional<TapBatch> Poll();

  // Taps that have got something since they were last told of here.
  std::vector<TapId> TakeReady();
  // Batches of one tap joined, one at least when there is any, up to about `limit` bytes.
  TapBatch Take(TapId tap, size_t limit);

 private:
  struct Box {
    explicit Box(size_t max_bytes) : backlog(max_bytes) {}
    TapBacklog backlog;
    bool ready = false;  // is in `ready_`
  };
  std::unordered_map<TapId, Box> boxes_;
  std::deque<TapId> ready_;
};

}  // namespace nexus
