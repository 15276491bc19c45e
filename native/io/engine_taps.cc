// The engine's calls for taps: add, remove and read.
#include <algorithm>

#include "io/clock.h"
#include "io/engine.h"

namespace nexus {
namespace {

// Maximum number of taps of all shards. Each keeps a backlog, so readers that hang cost at most this times
// the backlog.
constexpr size_t kMaxTaps = 4'096;

}  // namespace

CallError Engine::AddTap(TrackId track, TapSettings settings, TapId& tap) {
  const std::lock_guard lock(mutex_);
  if (closed_) return CallError::kClosed;
  if (ShardOf(tracks_, track.value) == nullptr) return CallError::kUnknownId;
  if (taps_.size() >= kMaxTaps) return CallError::kTooManyTaps;
  tap = TapId{NewId(tap_ids_, ShardIndex(track.value))};
  if (settings.retention == Duration{0}) {
    taps_.Open(tap, settings.backlog_bytes);
  } else {
    taps_.OpenRetained(tap, settings.retention, settings.first_position);
  }
  return Record(tap, track, settings);
}

// Lets the shard record the track for `tap`, whose records are dropped again if that fails.
CallError Engine::Record(TapId tap, TrackId track, TapSettings settings) {
  settings.unix_offset_us = unix_offset_us_;
  ShardThread* shard = ShardOf(tracks_, track.value);
  if (shard == nullptr) return CallError::kUnknownId;
  if (shard->Post(nexus::AddTap{tap, track, settings})) return CallError::kNone;
  taps_.Close(tap);
  return CallError::kQueueFull;
}

CallError Engine::ContinueTap(TapId tap, TrackId track, TapSettings settings) {
  const std::lock_guard lock(mutex_);
  if (closed_) return CallError::kClosed;
  if (ShardOf(tracks_, track.value) == nullptr) return CallError::kUnknownId;
  const TapId feed{NewId(tap_ids_, ShardIndex(track.value))};
  taps_.Feed(feed, tap);
  tap_feeds_[tap.value] = feed;
  return Record(feed, track, settings);
}

void Engine::FinishTap(TapId tap, ByteView record) {
  std::vector<TapBatch> last(1);
  last[0].tap = tap;
  last[0].records.assign(record.begin(), record.end());
  last[0].record_count = 1;
  last[0].ended = true;
  taps_.Push(last, MonotonicNow());
}

TapId Engine::FeedOf(TapId tap) {
  const std::lock_guard lock(mutex_);
  const auto feed = tap_feeds_.find(tap.value);
  return feed == tap_feeds_.end() ? tap : feed->second;
}

CallError Engine::UpdateTap(TapId tap, const TapDemand& demand) {
  const TapId feed = FeedOf(tap);
  return Post(tap_ids_, feed.value, nexus::UpdateTap{feed, demand});
}

CallError Engine::RequestTapKeyframe(TapId tap) {
  const TapId feed = FeedOf(tap);
  return Post(tap_ids_, feed.value, nexus::RefreshTap{feed});
}

void Engine::ExpireTaps() { taps_.Expire(MonotonicNow()); }

CallError Engine::RemoveTap(TapId tap) {
  taps_.Close(tap);
  const TapId feed = FeedOf(tap);
  {
    const std::lock_guard lock(mutex_);
    tap_feeds_.erase(tap.value);
  }
  return Post(tap_ids_, feed.value, nexus::RemoveTap{feed});
}

TapBatch Engine::ReadTap(TapId tap, size_t limit) {
  TapBatch batch = taps_.Take(tap, std::max<size_t>(limit, 1));
  // The reader needs a keyframe after a gap. It is requested once the reader reads again, not while it is
  // away.
  if (batch.packets_dropped > 0 && !batch.ended) RequestTapKeyframe(tap);
  return batch;
}

}  // namespace nexus
