// The engine's calls for taps: add, remove and read.
#include <algorithm>

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
  ShardThread* shard = ShardOf(tracks_, track.value);
  if (shard == nullptr) return CallError::kUnknownId;
  if (taps_.size() >= kMaxTaps) return CallError::kTooManyTaps;
  settings.unix_offset_us = unix_offset_us_;
  tap = TapId{NewId(tap_ids_, ShardIndex(track.value))};
  taps_.Open(tap, settings.backlog_bytes);
  if (shard->Post(nexus::AddTap{tap, track, settings})) return CallError::kNone;
  taps_.Close(tap);
  return CallError::kQueueFull;
}

CallError Engine::RemoveTap(TapId tap) {
  taps_.Close(tap);
  return Post(tap_ids_, tap.value, nexus::RemoveTap{tap});
}

TapBatch Engine::ReadTap(TapId tap, size_t limit) {
  TapBatch batch = taps_.Take(tap, std::max<size_t>(limit, 1));
  // The reader needs a keyframe after a gap. It is requested once the reader reads again, not while it is
  // away.
  if (batch.packets_dropped > 0 && !batch.ended) Post(tap_ids_, tap.value, nexus::RefreshTap{tap});
  return batch;
}

}  // namespace nexus
