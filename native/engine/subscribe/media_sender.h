// Sender of media to one peer: packets are paced to the estimate of its path, sealed (SRTP) and appended to
// runs. Header and patch come from the stack and the payload from the publisher's ring, so that without a
// patch the encryption is the only copy. Owns the keys of this direction, the bandwidth estimate, the send
// queue and probes.
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
  // `ice` knows the peer's address.
  MediaSender(ShardContext& context, const IceLite& ice, TransportSchedule& schedule,
              bool has_transport_feedback);

  // DTLS has provided the keys.
  void Open(SrtpProfile profile, const SrtpKeyMaterial& keys) {
    sealer_.emplace(profile, keys, context_.config.gcm);
  }
  void SetConsent(bool given) { consent_ = given; }
  bool ready() const { return sealer_.has_value() && ice_.selected().has_value() && consent_; }
  // Transport-wide feedback was negotiated or withdrawn: the estimate restarts.
  void SetTransportFeedback(bool has_transport_feedback);
  const std::optional<SrtpSealer>& sealer() const { return sealer_; }

  // Prefetch of the state that sending uses, in two steps: the second follows pointers that the first loads.
  void PrefetchPointers() const;
  void Prefetch() const;

  // Returns the bytes on the wire, 0 when the packet was dropped and counted.
  size_t SendMedia(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                   Timestamp now, ByteView red_prefix = {});
  size_t SendRtx(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                 int64_t rtx_sequence, Timestamp now);
  // Sent at once, before anything queued: a retransmission, or pure padding on a retransmission stream.
  size_t SealRtx(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                 int64_t rtx_sequence, Timestamp now);
  size_t SealPadding(const OutgoingStream& stream, int64_t rtx_sequence, Timestamp now);
  // Padding on the media stream itself, for peers without retransmissions.
  size_t SealMediaPadding(const OutgoingStream& stream, const Rewritten& rewritten, Timestamp now);
  void SealRtcp(ByteView compound);
  // Empties queued packets of a slot whose source has changed or stopped.
  void DropWaiting(Ssrc ssrc) { control_->stale_drops += control_->queue.MakeEmpty(ssrc); }

  // To be called after every change of the estimate.
  void OnEstimate(Timestamp now);
  // Sends queued packets that are due.
  void SendWaiting(Timestamp now);
  // Sends probes that are due: queued packets, else `send_padding()`, which returns the bytes on the wire.
  template <class SendPadding>
  void SendProbes(Timestamp now, SendPadding&& send_padding);
  Timestamp next_deadline() const;

  void OnRtt(Duration rtt) {
    rtt_ = rtt;
    control_->estimator.OnRtt(rtt);
  }
  // From report blocks; nothing before the first.
  const std::optional<Duration>& measured_rtt() const { return rtt_; }
  Duration rtt() const { return rtt_.value_or(kAssumedRtt); }
  // True while the capacity of the path is not measured yet, but will be.
  bool guesses() const { return control_->has_transport_feedback && !control_->estimator.measured(); }

  // Budget of retransmissions for all slots.
  RetransmissionBudget& retransmissions() { return retransmissions_; }
  SendSideEstimator& estimator() { return control_->estimator; }
  const SendControl& control() const { return *control_; }
  uint64_t packets() const { return packets_; }
  uint64_t bytes() const { return bytes_; }

  static constexpr Duration kAssumedRtt = std::chrono::milliseconds(100);  // before the first report block

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
  std::optional<SendControl> control_;  // has a value always; replaced when feedback is renegotiated
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
    // A queued packet probes as well as padding does.
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
