#include "engine/tap/tap_outbox.h"

#include <utility>

#include "engine/tap/protobuf_writer.h"
#include "engine/tap/tap_encoder.h"

namespace nexus {

size_t TapOutbox::bytes() const {
  size_t sum = 0;
  for (const auto& [tap, box] : boxes_) sum += box.backlog.bytes();
  return sum;
}

void TapOutbox::OpenRetained(TapId tap, Duration retention, uint64_t first_position) {
  const auto [box, inserted] = boxes_.try_emplace(tap, kMinTapBacklog);
  if (inserted) box->second.retained.emplace(retention, kMaxRetainedBytes, first_position);
}

TapOutbox::Box* TapOutbox::Named(TapId tap) {
  const auto found = boxes_.find(tap);
  return found == boxes_.end() || !found->second.retained ? nullptr : &found->second;
}

const RetainedRecords* TapOutbox::Retained(TapId tap) const {
  const auto found = boxes_.find(tap);
  return found == boxes_.end() || !found->second.retained ? nullptr : &*found->second.retained;
}

void TapOutbox::Feed(TapId feed, TapId tap) {
  Box* box = Named(tap);
  if (box == nullptr) return;
  box->retained->Continue();
  std::erase_if(fed_by_, [&](const auto& entry) { return entry.second == tap; });
  fed_by_[feed] = tap;
}

void TapOutbox::Close(TapId tap) {
  if (const RetainedRecords* retained = Retained(tap); retained != nullptr) {
    closed_packets_dropped_ += retained->packets_dropped();
    retained_bytes_ -= retained->bytes();
    std::erase_if(fed_by_, [&](const auto& entry) { return entry.second == tap; });
  }
  boxes_.erase(tap);
}

void TapOutbox::Push(TapBatch batch, Timestamp now) {
  if (const auto feed = fed_by_.find(batch.tap); feed != fed_by_.end()) batch.tap = feed->second;
  const auto found = boxes_.find(batch.tap);
  if (found == boxes_.end()) return;
  Box& box = found->second;
  if (!std::exchange(box.ready, true)) ready_.push_back(batch.tap);
  if (box.retained) {
    Alter(*box.retained, [&](RetainedRecords& kept) { kept.Push(std::move(batch), now); });
    return;
  }
  box.position += batch.record_count;
  batch.position = box.position;
  box.backlog.Push(std::move(batch));
}

void TapOutbox::ResumeAfter(TapId tap, uint64_t position) {
  Box* box = Named(tap);
  if (box == nullptr) return;
  box->retained->ResumeAfter(position);
  // Kept records are ready for the reader at once.
  if (!std::exchange(box->ready, true)) ready_.push_back(tap);
}

void TapOutbox::Acknowledge(TapId tap, uint64_t position) {
  Box* box = Named(tap);
  if (box != nullptr) Alter(*box->retained, [&](RetainedRecords& kept) { kept.Acknowledge(position); });
}

void TapOutbox::Expire(Timestamp now) {
  for (auto& [tap, box] : boxes_) {
    if (box.retained) Alter(*box.retained, [&](RetainedRecords& kept) { kept.Expire(now); });
  }
}

uint64_t TapOutbox::retained_packets_dropped() const {
  uint64_t sum = closed_packets_dropped_;
  for (const auto& [tap, box] : boxes_) sum += box.retained ? box.retained->packets_dropped() : 0;
  return sum;
}

void TapOutbox::LimitRetained(size_t max_bytes) {
  while (retained_bytes_ > max_bytes) {
    RetainedRecords* largest = nullptr;
    for (auto& [tap, box] : boxes_) {
      if (!box.retained) continue;
      if (largest == nullptr || box.retained->bytes() > largest->bytes()) largest = &*box.retained;
    }
    if (largest == nullptr || largest->bytes() == 0) return;
    Alter(*largest, [](RetainedRecords& kept) { kept.DropOldest(); });
  }
}

std::optional<TapBatch> TapOutbox::Poll() {
  while (!ready_.empty()) {
    const auto found = boxes_.find(ready_.front());
    std::optional<TapBatch> batch = found == boxes_.end() ? std::nullopt : found->second.Pop();
    if (!batch) {
      if (found != boxes_.end()) found->second.ready = false;
      ready_.pop_front();
      continue;
    }
    if (batch->ended) boxes_.erase(found);
    return batch;
  }
  return std::nullopt;
}

std::vector<TapId> TapOutbox::TakeReady() {
  std::vector<TapId> taps(ready_.begin(), ready_.end());
  ready_.clear();
  for (const TapId tap : taps) {
    if (const auto found = boxes_.find(tap); found != boxes_.end()) found->second.ready = false;
  }
  return taps;
}

TapBatch TapOutbox::Take(TapId tap, size_t limit) {
  TapBatch joined;
  joined.tap = tap;
  const auto found = boxes_.find(tap);
  if (found == boxes_.end()) return joined;
  Box& box = found->second;
  while (joined.records.size() < limit) {
    std::optional<TapBatch> batch = box.Pop();
    if (!batch) break;
    joined.position = batch->position;
    joined.packets += batch->packets;
    joined.packets_dropped += batch->packets_dropped;
    joined.ended = batch->ended;
    if (joined.records.empty()) {
      joined.records = std::move(batch->records);
    } else {
      Append(joined.records, batch->records);
    }
  }
  if (!joined.records.empty()) AppendPosition(joined.records, joined.position);
  if (box.retained) {
    joined.ended = box.retained->finished();
  } else if (joined.ended) {
    boxes_.erase(found);
  }
  return joined;
}

}  // namespace nexus
