// One media SSRC of a publisher, with the state that all its subscribers share: packets, keyframes, loss,
// clock, rates. A simulcast track has one for each encoding.
#pragma once

#include <optional>
#include <string>

#include "engine/base/unwrap.h"
#include "engine/codec/payload_inspector.h"
#include "engine/control/command.h"
#include "engine/control/shard_context.h"
#include "engine/forward/keyframe_cache.h"
#include "engine/forward/keyframe_requester.h"
#include "engine/forward/layer_meter.h"
#include "engine/forward/nack_generator.h"
#include "engine/forward/packet_ring.h"
#include "engine/forward/receiver_stats.h"
#include "engine/forward/red_recovery.h"
#include "engine/forward/remembered_sets.h"
#include "engine/forward/source_clock.h"
#include "engine/media/incoming_extensions.h"
#include "engine/publish/encoding_liveness.h"
#include "engine/rtp/rtp_packet.h"

namespace nexus {

class PublishedTrack;

class PublishedLayer {
 public:
  // `nack_patience`: see PublishedTrack::nack_patience.
  PublishedLayer(ShardContext& context, PublishedTrack& track, std::string rid, uint8_t encoding,
                 Duration nack_patience);
  ~PublishedLayer();
  PublishedLayer(const PublishedLayer&) = delete;
  PublishedLayer& operator=(const PublishedLayer&) = delete;

  struct Arrival {
    const RtpPacketView& packet;
    const IncomingExtensions& extensions;
    const CodecBinding& codec;
    Timestamp received;  // by the kernel
    Timestamp now;
    bool repaired = false;           // restored from RTX
    const RedPacket* red = nullptr;  // the payload, when it is redundant audio
  };
  // Counts, inspects and stores the packet. Null when it is dropped, for `reason`.
  const SourcePacket* Receive(const Arrival& arrival, RemoteClockOffset& remote, DropReason& reason);
  // Parameter sets that the publisher sent before the relay began.
  void LearnRelayedSets(ByteView payload, const CodecBinding& codec) {
    UseCodec(codec);
    remembered_sets_.OnRelayed(payload, id_);
  }
  // Recovers lost packets before `primary` from `red` and stores them, oldest first. Returns their number.
  size_t Recover(const RedPacket& red, const SourcePacket& primary, std::span<const SourcePacket*> recovered);
  // Stores a packet of another shard, which was counted and repaired there.
  const SourcePacket* ReceiveRelayed(SourcePacket packet, const CodecBinding& codec, Timestamp now,
                                     DropReason& reason);
  // Counts a packet of a muted track without storing it.
  void ReceiveMuted(const Arrival& arrival);
  // False before the first packet, by which the clock rate is known.
  bool OnSenderReport(const SenderReport& report, Timestamp now);

  LayerId id() const { return id_; }
  // The track that owns it.
  PublishedTrack& track() const { return track_; }
  const std::string& rid() const { return rid_; }
  // The codec of the last packet; nothing before the first.
  const std::optional<CodecBinding>& codec() const { return codec_; }
  const PacketRing* ring() const { return ring_ ? &*ring_ : nullptr; }
  const RememberedSets& remembered_sets() const { return remembered_sets_; }
  // The packet of this layer with this number, while it is kept.
  const SourcePacket* Find(int64_t number) const;
  // See FanOut.
  void Pad(int64_t sequence_number, uint8_t bytes) {
    if (ring_) ring_->Pad(sequence_number, bytes);
  }
  NackGenerator& nacks() { return nacks_; }
  const NackGenerator& nacks() const { return nacks_; }
  // A slot that starts shortly after a keyframe gets it from the ring.
  KeyframeCache& keyframe_cache() { return keyframe_cache_; }
  KeyframeRequester& keyframes() { return keyframe_requests_; }
  const KeyframeRequester& keyframes() const { return keyframe_requests_; }
  ReceiverStats* stats() { return stats_ ? &*stats_ : nullptr; }
  const ReceiverStats* stats() const { return stats_ ? &*stats_ : nullptr; }
  const LayerMeter& meter() const { return meter_; }
  const PayloadInspector* inspector() const { return inspector_ ? &*inspector_ : nullptr; }
  // Index among the track's encodings, low to high.
  uint8_t encoding() const { return encoding_; }
  uint64_t red_recovered() const { return red_recovered_; }
  void CountReplay() { ++keyframe_replays_; }
  uint64_t keyframe_replays() const { return keyframe_replays_; }
  uint64_t keyframe_count() const { return keyframe_count_; }
  Timestamp last_packet() const { return last_packet_; }
  // True when media times come from the publisher's sender reports.
  bool synchronised() const { return clock_ && clock_->synchronised(); }

  bool live() const { return liveness_.live(); }
  // A packet of this layer arrived. True when it was not live before.
  bool NoteOwnPacket(Timestamp now) { return liveness_.OnOwnPacket(now); }
  // A frame of another encoding began. True when this one now counts as stopped; its rates are then reset.
  bool NoteFrameElsewhere(Timestamp now) {
    const bool stopped = liveness_.OnFrameElsewhere(now);
    if (stopped) meter_.Reset();
    return stopped;
  }

  const std::optional<Ssrc>& ssrc() const { return ssrc_; }
  const std::optional<Ssrc>& rtx_ssrc() const { return rtx_ssrc_; }
  void set_ssrc(Ssrc ssrc) { ssrc_ = ssrc; }
  void set_rtx_ssrc(Ssrc ssrc) { rtx_ssrc_ = ssrc; }

 private:
  void UseCodec(const CodecBinding& codec);
  void Count(const Arrival& arrival, int64_t sequence);
  const SourcePacket* Store(SourcePacket& packet, size_t size, Timestamp now, DropReason& reason);
  void ReadAgainBehind(int64_t sequence);

  ShardContext& context_;
  PublishedTrack& track_;
  LayerId id_;
  std::string rid_;
  uint8_t encoding_;
  std::optional<Ssrc> ssrc_;
  std::optional<Ssrc> rtx_ssrc_;
  EncodingLiveness liveness_;
  std::optional<CodecBinding> codec_;
  Unwrapper<uint16_t> sequence_;
  Unwrapper<uint32_t> timestamp_;
  std::optional<PayloadInspector> inspector_;
  std::optional<PacketRing> ring_;
  std::optional<ReceiverStats> stats_;
  std::optional<SourceClock> clock_;
  LayerMeter meter_;
  NackGenerator nacks_;
  KeyframeCache keyframe_cache_;
  RememberedSets remembered_sets_;
  KeyframeRequester keyframe_requests_;
  uint64_t keyframe_count_ = 0;
  uint64_t keyframe_replays_ = 0;
  uint64_t red_recovered_ = 0;
  Timestamp last_packet_{};
};

}  // namespace nexus
