// Taps: each is added to a track and ends with it. Its last batch says that it has ended, so that a reader
// never waits for a tap that is gone.
#include "engine/shard/shard.h"

namespace nexus {

void Shard::Handle(const AddTap& command, Timestamp now) {
  const uint32_t id = command.tap.value;
  if (taps_.contains(command.tap)) return Reject("add_tap", id, "already_exists");
  const auto refuse = [&](std::string_view reason) {
    tap_batches_.Open(command.tap, command.settings.backlog_bytes);
    TapBatch end;
    end.tap = command.tap;
    end.ended = true;
    tap_batches_.Push(std::move(end));
    Reject("add_tap", id, reason);
  };
  const auto track = tracks_.find(command.track);
  if (track == tracks_.end()) return refuse("unknown_track");
  if (taps_.size() >= config_.max_taps) return refuse("too_many_taps");
  taps_[command.tap] =
      std::make_unique<TrackTap>(context_, tap_batches_, *track->second, command.tap, command.settings, now);
}

void Shard::Handle(const RemoveTap& command, Timestamp) {
  tap_batches_.Close(command.tap);
  taps_.erase(command.tap);  // one whose track is gone has been removed already
}

void Shard::Handle(const RefreshTap& command, Timestamp) {
  if (const auto tap = taps_.find(command.tap); tap != taps_.end()) tap->second->RequestKeyframe();
}

void Shard::Handle(const UpdateTap& command, Timestamp now) {
  if (const auto tap = taps_.find(command.tap); tap != taps_.end()) tap->second->Update(command.demand, now);
}

void Shard::SweepTaps() {
  std::erase_if(taps_, [](const auto& entry) { return entry.second->gone(); });
}

}  // namespace nexus
