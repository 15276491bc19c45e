// Media to one peer: paced to what its path carries, sealed (SRTP) and strung into runs. Header and patch
// come from the stack and the payload from the publisher's ring, sealed into the batch: without a patch the
// encryption is the copy. Owns the keys of this direction, the bandwidth estimate, what waits and what
// probes.
#pragma once

#include <optional>

#include "engine/control/shard_context.h"
#include "engine/forward/assembler.h"
#include "engine/forward/retransmission_budget.h"
#include "engine/ice/ice_lite.h"
#include "engine/srtp/srtp_sealer.h"
#include "engine/subscribe/send_control.h"
#include "engine/subscribe/transport_schedule.h"

namespace nexus {

class MediaSender {
 public:
  // `ice` says where the peer is.
  MediaSender(ShardContext& context, const IceLite& ice, TransportSchedule& schedule,
              bool has_transport_feedback);

  // The keys are there: from now on something may be sent.
  void Open(SrtpProfile profile, const SrtpKeyMaterial& keys) {
    sealer_.emplace(profile, keys, context_.config.gcm);
  }
  void SetConsent(bool given) { consent_ = given; }
  bool ready() const { return sealer_.has_value() && ice_.selected().has_value() && consent_; }
  // Whether the peer reports transport-wide numbers; the estimate begins anew when that has changed.
  void SetTransportFeedback(bool has_transport_feedback);
  const std::optional<SrtpSealer>& sealer() const { return sealer_; }

  // In two steps, as the second follows pointers that the first brings: what sending looks at.
  void PrefetchPointers() const;
  void Prefetch() const;

  // The bytes on the wire, 0 when it was dropped and counted.
  size_t SendMedia(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                   Timestamp now, ByteView red_prefix = {});
  size_t SendRtx(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                 int64_t rtx_sequence, Timestamp now);
  // Sent at once, whatever waits: a retransmission, or padding alone on a retransmission stream.
  size_t SealRtx(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                 int64_t rtx_sequence, Timestamp now);
  size_t SealPadding(const OutgoingStream& stream, int64_t rtx_sequence, Timestamp now);
  // The same on the media's own stream, for peers without retransmissions.
  size_t SealMediaPadding(const OutgoingStream& stream, const Rewritten& rewritten, Timestamp now);
  void SealRtcp(ByteView compound);
  // What waits of a slot is overtaken by what it shows next, a keyframe or nothing.
  void DropWaiting(Ssrc ssrc) { control_->stale_drops += control_->queue.MakeEmpty(ssrc); }

  // After every change of the estimate.
  void OnEstimate(Timestamp now);
  // What waits, as far as its time has come.
  void SendWaiting(Timestamp now);
  // Probes that are due: what waits, or what `send_padding()` sends, which returns the bytes on the wire.
  template <class SendPadding>
  void SendProbes(Timestamp now, SendPadding&& send_padding);
  Timestamp next_deadline() const;

  void OnRtt(Duration rtt) {
    rtt_ = rtt;
    control_->estimator.OnRtt(rtt);
  }
  // Measured by report blocks; nothing as long as none has come.
  const std::optional<Duration>& measured_rtt() const { return rtt_; }
  Duration rtt() const { return rtt_.value_or(kAssumedRtt); }
  // What the path carries is not measured yet, but will be.
  bool guesses() const { return control_->has_transport_feedback && !control_->estimator.measured(); }

  // What NACKs may cost; slots ask it.
  RetransmissionBudget& retransmissions() { return retransmissions_; }
  SendSideEstimator& estimator() { return control_->estimator; }
  const SendControl& control() const { return *control_; }
  uint64_t packets() const { return packets_; }
  uint64_t bytes() const { return bytes_; }

  static constexpr Duration kAssumedRtt = std::chrono::milliseconds(100);  // until a report block tells

 private:
  static constexpr int kProbePacketsAtOnce = 10;

  size_t Seal(const OutgoingPacket& packet, uint64_t index, Timestamp now);
  size_t SealPadding(OutgoingRtpHeader& header, uint64_t index, Timestamp now);
  size_t SealMedia(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                   Timestamp now, ByteView red_prefix = {});
  bool Hold(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
            std::optional<int64_t> rtx_sequence, Timestamp now);
  size_t SendQueued(const QueuedPacket& waiting, Timestamp now);

  ShardContext& context_;
  const IceLite& ice_;
  TransportSchedule& schedule_;
  std::optional<SendControl> control_;  // always there; made anew when feedback was renegotiated
  bool consent_ = true;
  std::optional<SrtpSealer> sealer_;
  RunCursor cursor_;
  RetransmissionBudget retransmissions_;
  std::optional<Duration> rtt_;
  uint64_t packets_ = 0;
  uint64_t bytes_ = 0;
};

template <class SendPadding>
void MediaSender::SendProbes(Timestamp now, SendPadding&& send_padding) {
  std::optional<ActiveProbe>& probe = control_->probe;
  for (int i = 0; i < kProbePacketsAtOnce; ++i) {
    if (!probe) {
      const std::optional<ProbeCluster> cluster = control_->estimator.TakeProbe(now);
      if (!cluster) return;
      probe.emplace(*cluster, now);
    }
    if (now < probe->due()) return;
    // What waits anyway probes as well as padding does.
    const std::optional<QueuedPacket> waiting = control_->queue.Pop();
    const size_t sent = waiting ? SendQueued(*waiting, now) : send_padding();
    if (waiting && sent == 0) continue;
    if (!waiting && sent > 0) ++control_->probe_packets;
    if (sent == 0 || probe->stale(now)) {
      probe.reset();
      return;
    }
    if (probe->done()) probe.reset();
  }
}

}  // namespace nexus
