#include "engine/tap/tap_outbox.h"

#include <utility>

#include "engine/tap/protobuf_writer.h"

namespace nexus {

size_t TapOutbox::bytes() const {
  size_t sum = 0;
  for (const auto& [tap, box] : boxes_) sum += box.backlog.bytes();
  return sum;
}

void TapOutbox::Push(TapBatch batch) {
  const auto found = boxes_.find(batch.tap);
  if (found == boxes_.end()) return;
  Box& box = found->second;
  if (!std::exchange(box.ready, true)) ready_.push_back(batch.tap);
  box.backlog.Push(std::move(batch));
}

std::optional<TapBatch> TapOutbox::Poll() {
  while (!ready_.empty()) {
    const auto found = boxes_.find(ready_.front());
    std::optional<TapBatch> batch = found == boxes_.end() ? std::nullopt : found->second.backlog.Pop();
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
  TapBacklog& backlog = found->second.backlog;
  while (joined.records.size() < limit) {
    std::optional<TapBatch> batch = backlog.Pop();
    if (!batch) break;
    joined.packets += batch->packets;
    joined.packets_dropped += batch->packets_dropped;
    joined.ended = batch->ended;
    if (joined.records.empty()) {
      joined.records = std::move(batch->records);
    } else {
      Append(joined.records, batch->records);
    }
  }
  if (joined.ended) boxes_.erase(found);
  return joined;
}

}  // namespace nexus
