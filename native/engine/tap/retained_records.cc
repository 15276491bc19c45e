#include "engine/tap/retained_records.h"

#include <algorithm>
#include <utility>

#include "engine/tap/protobuf_writer.h"
#include "engine/tap/tap_encoder.h"

namespace nexus {
namespace {

// Maximum number of dropped ranges that are kept apart: one batch per 50 ms for a minute.
constexpr size_t kMaxDroppedRanges = 1'200;

}  // namespace

void RetainedRecords::State::Pass(const TapBatch& batch) {
  if (!batch.last_source.empty()) source = batch.last_source;
  if (!batch.last_muted.empty()) muted = batch.last_muted;
}

RetainedRecords::RetainedRecords(Duration retention, size_t max_bytes, uint64_t first_position)
    : retention_(retention), max_bytes_(max_bytes), position_(first_position), delivered_(first_position) {
  if (first_position == 0) return;
  // An earlier tap of this name is gone with everything that came since. The gap takes a number of its own.
  dropped_.push_back({.position = ++position_});
}

void RetainedRecords::Push(TapBatch batch, Timestamp now) {
  if (batch.ended) ended_ = true;
  if (batch.record_count == 0) return;
  position_ += batch.record_count;
  batch.position = position_;
  batch.ended = false;
  bytes_ += batch.records.size();
  record_count_ += batch.record_count;
  kept_.push_back({std::move(batch), now});
  Expire(now);
  while (bytes_ > max_bytes_ && kept_.size() > 1) DropOldest();
}

TapBatch RetainedRecords::Forget() {
  TapBatch batch = std::move(kept_.front().batch);
  kept_.pop_front();
  bytes_ -= batch.records.size();
  record_count_ -= batch.record_count;
  before_.Pass(batch);
  return batch;
}

bool RetainedRecords::DropOldest() {
  if (kept_.empty()) return false;
  const TapBatch batch = Forget();
  NoteDropped(batch);
  if (batch.last_media_time_us != 0) media_time_before_us_ = batch.last_media_time_us;
  return true;
}

void RetainedRecords::NoteDropped(const TapBatch& batch) {
  packets_dropped_ += batch.packets;
  dropped_.push_back({.position = batch.position,
                      .packets = batch.packets,
                      .first_sequence = batch.first_sequence,
                      .last_sequence = batch.last_sequence,
                      .numbered = batch.numbered,
                      .media_time_before_us = media_time_before_us_,
                      .media_time_after_us = 0});
  if (dropped_.size() <= kMaxDroppedRanges) return;
  const Dropped first = dropped_.front();
  dropped_.pop_front();
  Dropped& joined = dropped_.front();
  joined.packets += first.packets;
  joined.media_time_before_us = first.media_time_before_us;
  if (!first.numbered) return;
  if (!joined.numbered) joined.last_sequence = first.last_sequence;
  joined.first_sequence = first.first_sequence;
  joined.numbered = true;
}

// The ranges that were dropped before the reader received them, as one.
std::optional<RetainedRecords::Dropped> RetainedRecords::Undelivered() const {
  std::optional<Dropped> joined;
  for (const Dropped& one : dropped_) {
    if (one.position <= delivered_) continue;
    if (!joined) {
      joined = one;
      continue;
    }
    joined->position = one.position;
    joined->packets += one.packets;
    if (!one.numbered) continue;
    if (!joined->numbered) joined->first_sequence = one.first_sequence;
    joined->last_sequence = one.last_sequence;
    joined->numbered = true;
  }
  if (joined && !kept_.empty()) joined->media_time_after_us = kept_.front().batch.first_media_time_us;
  return joined;
}

RetainedRecords::State RetainedRecords::StateAt(uint64_t position) const {
  State state = before_;
  for (const Kept& one : kept_) {
    if (one.batch.position > position) break;
    state.Pass(one.batch);
  }
  return state;
}

std::optional<TapBatch> RetainedRecords::Next() {
  const std::optional<Dropped> lost = Undelivered();
  if (lost || resumed_) {
    TapBatch told;
    if (lost) {
      delivered_ = lost->position;
      told.packets_dropped = lost->packets;
      told.records = EncodeGap({GapReason::kRetention, lost->first_sequence, lost->last_sequence},
                               lost->packets, {lost->media_time_before_us, lost->media_time_after_us});
    }
    resumed_ = false;
    const State state = StateAt(delivered_);
    // The source first: a stream begins with it.
    told.records.insert(told.records.begin(), state.source.begin(), state.source.end());
    Append(told.records, state.muted);
    told.position = delivered_;
    if (!told.records.empty()) return told;
  }
  const auto next =
      std::ranges::upper_bound(kept_, delivered_, {}, [](const Kept& one) { return one.batch.position; });
  if (next == kept_.end()) return std::nullopt;
  delivered_ = next->batch.position;
  return next->batch;
}

void RetainedRecords::ResumeAfter(uint64_t position) {
  delivered_ = std::min(position, position_);
  resumed_ = true;
}

void RetainedRecords::Acknowledge(uint64_t position) {
  while (!kept_.empty() && kept_.front().batch.position <= position) {
    const TapBatch batch = Forget();
    if (batch.last_media_time_us != 0) media_time_before_us_ = batch.last_media_time_us;
  }
  std::erase_if(dropped_, [&](const Dropped& one) { return one.position <= position; });
}

void RetainedRecords::Expire(Timestamp now) {
  while (!kept_.empty() && now - kept_.front().since > retention_) DropOldest();
}

}  // namespace nexus
