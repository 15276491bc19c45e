#include "engine/tap/tap_backlog.h"

#include "engine/tap/protobuf_writer.h"
#include "engine/tap/tap_encoder.h"

namespace nexus {

void TapBacklog::Push(TapBatch batch) {
  bytes_ += batch.records.size();
  batches_.push_back(std::move(batch));
  // The newest batch stays, so that a reader always gets the end.
  while (bytes_ > max_bytes_ && batches_.size() > 1) DropOldest();
}

void TapBacklog::DropOldest() {
  TapBatch batch = std::move(batches_.front());
  batches_.pop_front();
  bytes_ -= batch.records.size();
  if (!lost_) {
    lost_.emplace();
    lost_->tap = batch.tap;
    lost_->last_media_time_us = media_time_before_us_;
  }
  lost_->position = batch.position;
  lost_->record_count += batch.record_count;
  if (batch.numbered) {
    if (!lost_->numbered) lost_->first_sequence = batch.first_sequence;
    lost_->numbered = true;
    lost_->last_sequence = batch.last_sequence;
  }
  lost_->packets_dropped += batch.packets + batch.packets_dropped;
  if (!batch.last_source.empty()) lost_->last_source = std::move(batch.last_source);
  if (!batch.last_muted.empty()) lost_->last_muted = std::move(batch.last_muted);
}

TapBatch TapBacklog::TellLost() {
  TapBatch told = *std::move(lost_);
  lost_.reset();
  if (told.numbered) {
    const GapEdges edges{told.last_media_time_us,
                         batches_.empty() ? 0 : batches_.front().first_media_time_us};
    told.records = EncodeGap({GapReason::kSlowReader, told.first_sequence, told.last_sequence},
                             told.packets_dropped, edges);
  }
  Append(told.records, told.last_source);
  Append(told.records, told.last_muted);
  return told;
}

std::optional<TapBatch> TapBacklog::Pop() {
  if (lost_) return TellLost();
  if (batches_.empty()) return std::nullopt;
  TapBatch batch = std::move(batches_.front());
  batches_.pop_front();
  bytes_ -= batch.records.size();
  if (batch.last_media_time_us != 0) media_time_before_us_ = batch.last_media_time_us;
  return batch;
}

}  // namespace nexus
