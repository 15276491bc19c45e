// A tap of a recorder or transcriber on one track: whole packets, in order, with gaps reported. It follows
// the highest live encoding, or the lowest that is as large as its reader needs, waits longer for lost
// packets than the call does, and requests keyframes for its own stream.
#pragma once

#include <deque>

#include "engine/control/shard_context.h"
#include "engine/publish/track_sink.h"
#include "engine/tap/reorder_buffer.h"
#include "engine/tap/tap_clock.h"
#include "engine/tap/tap_encoder.h"
#include "engine/tap/tap_outbox.h"

namespace nexus {

class TrackTap final : public TrackSink {
 public:
  TrackTap(ShardContext& context, TapOutbox& out, PublishedTrack& track, TapId id,
           const TapSettings& settings, Timestamp now);
  ~TrackTap() override;
  TrackTap(const TrackTap&) = delete;
  TrackTap& operator=(const TrackTap&) = delete;

  void OnPacket(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) override;
  void OnSenderReport(PublishedLayer& layer, const SenderReport& report, Timestamp now) override;
  void OnMuted(bool muted, Timestamp now) override;
  void OnSizes(const PublishedTrack& track) override;
  void OnTrackGone(PublishedTrack& track) override;
  Duration nack_patience() const override { return settings_.patience; }
  LayerDemand Demand() const override;

  void HandleTimeout(Timestamp now);
  // The reader has lost data, or asks for a keyframe.
  void RequestKeyframe();
  void Update(const TapDemand& demand, Timestamp now);

  TapId id() const { return id_; }
  // True once the track is gone; the tap may be destroyed.
  bool gone() const { return track_ == nullptr; }

 private:
  bool Choose(PublishedLayer& layer, const SourcePacket& packet, Timestamp now);
  bool IsBetter(const PublishedLayer& layer, const PublishedLayer& current) const;
  // The highest encoding that the reader can use.
  size_t Wanted() const;
  void RequestDueKeyframe(Timestamp now);
  void SwitchTo(PublishedLayer& layer);
  void RestartAt(PublishedLayer& layer, const SourcePacket& packet, Timestamp now);
  PublishedLayer* Current() const;
  uint32_t NoteFor(PublishedLayer& layer);
  void Emit(const SourcePacket& packet, uint32_t note);
  void EmitParameterSets(const PublishedLayer& layer, const SourcePacket& keyframe);
  void EmitDue(Timestamp now);
  void Drain();
  void Tell(const SequenceGap& gap);
  void Ask(PublishedLayer& layer);
  void Flush(bool ended);
  void Schedule(Timestamp now);

  ShardContext& context_;
  TapOutbox& out_;
  PublishedTrack* track_;
  TapId id_;
  TapSettings settings_;
  ReorderBuffer order_;
  TapEncoder encoder_;
  TapClock clock_;
  LayerId layer_;                  // that is followed; 0: none yet
  std::deque<TapSource> sources_;  // of packets that are held; the last is the current one
  uint32_t first_source_ = 1;      // the number of sources_.front()
  uint32_t told_source_ = 0;       // the number of the last one that was encoded
  bool begins_ = false;            // no packet of this source was emitted yet
  bool wants_keyframe_ = false;    // the reader cannot decode until the next keyframe
  int64_t last_timestamp_ = 0;
  Timestamp keyframe_due_ = kNever;  // when the reader's interval has passed since the last keyframe
  Timestamp flush_at_ = kNever;
  Deadline deadline_{this};
};

}  // namespace nexus
