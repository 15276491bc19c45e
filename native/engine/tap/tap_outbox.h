// The backlogs of many taps, and the taps that have records. The core uses it for the records of a tick, the
// edge for those that readers have not fetched.
#pragma once

#include <deque>
#include <optional>
#include <unordered_map>

#include "engine/tap/retained_records.h"
#include "engine/tap/tap_backlog.h"

namespace nexus {

class TapOutbox {
 public:
  // A tap's backlog exists from Open until Close, or until its last batch is fetched.
  void Open(TapId tap, size_t max_bytes) { boxes_.try_emplace(tap, max_bytes); }
  // The records of a named tap are kept until they are acknowledged, or until Close.
  void OpenRetained(TapId tap, Duration retention, uint64_t first_position);
  // From now on, `feed` records for the named tap, whose own track has ended.
  void Feed(TapId feed, TapId tap);
  void Close(TapId tap);
  bool contains(TapId tap) const { return boxes_.contains(tap); }
  size_t size() const { return boxes_.size(); }
  size_t bytes() const;

  // Drops the batch if the tap does not exist, because its reader has left.
  void Push(TapBatch batch, Timestamp now = {});
  // The next batch of the tap that has waited longest.
  std::optional<TapBatch> Poll();

  // Taps that have received records since the last call.
  std::vector<TapId> TakeReady();
  // Joins batches of one tap, at least one if there is any, up to about `limit` bytes.
  TapBatch Take(TapId tap, size_t limit);

  // Null if it is not a named tap.
  const RetainedRecords* Retained(TapId tap) const;
  void ResumeAfter(TapId tap, uint64_t position);
  void Acknowledge(TapId tap, uint64_t position);
  // Drops what was kept for longer than its retention.
  void Expire(Timestamp now);
  // Drops the oldest records of the largest named taps until all of them together keep at most this much.
  void LimitRetained(size_t max_bytes);
  size_t retained_bytes() const { return retained_bytes_; }
  // Packets that named taps have dropped without acknowledgement, also those of closed ones.
  uint64_t retained_packets_dropped() const;

 private:
  struct Box {
    explicit Box(size_t max_bytes) : backlog(max_bytes) {}
    TapBacklog backlog;
    std::optional<RetainedRecords> retained;  // in place of the backlog
    std::optional<TapBatch> Pop() { return retained ? retained->Next() : backlog.Pop(); }
    uint64_t position = 0;  // of the last record, without a name
    bool ready = false;     // the tap is in `ready_`
  };
  Box* Named(TapId tap);
  // Changes what a named tap keeps, and counts its bytes.
  template <typename Change>
  void Alter(RetainedRecords& retained, Change change) {
    retained_bytes_ -= retained.bytes();
    change(retained);
    retained_bytes_ += retained.bytes();
  }

  std::unordered_map<TapId, Box> boxes_;
  size_t retained_bytes_ = 0;
  std::unordered_map<TapId, TapId> fed_by_;  // the named tap of a feed
  std::deque<TapId> ready_;
  uint64_t closed_packets_dropped_ = 0;
};

}  // namespace nexus
