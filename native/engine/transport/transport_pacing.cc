// When media leaves: at once while the path has room, run by run while it has not; and what probes it.
#include <algorithm>
#include <array>

#include "engine/room/room.h"
#include "engine/transport/transport.h"

namespace nexus {
namespace {

// Media comes in bursts (a frame at a time): over a few frames it keeps to the estimate.
constexpr double kPacingFactor = 2.0;
// Into a queue that stands nothing comes in bursts.
constexpr double kCongestedFactor = 1.1;
// Until the first measurement nothing is known, and a first picture that waits is worse than one that is
// lost.
constexpr int64_t kUnmeasuredPacingBps = 10'000'000;
// Sending less than so much of the estimate is "far from the limit".
constexpr double kRelaxedBelow = 0.5;
constexpr size_t kRunPackets = 10;
constexpr int kProbePacketsAtOnce = 10;

}  // namespace

// After every change of the estimate.
void Transport::OnEstimate(Timestamp now) {
  SendSideEstimator& estimator = send_->estimator;
  const std::optional<int64_t> estimate = estimator.estimate_bps();
  int64_t rate = 0;
  bool relaxed = true;
  if (estimate) {
    const double factor = estimator.congested() ? kCongestedFactor : kPacingFactor;
    rate = static_cast<int64_t>(factor * static_cast<double>(*estimate));
    if (!estimator.measured()) rate = std::max(rate, kUnmeasuredPacingBps);
    relaxed = !estimator.congested() &&
              static_cast<double>(estimator.sent_bps(now)) < kRelaxedBelow * static_cast<double>(*estimate);
  }
  send_->budget.SetRate(rate, relaxed, now);
  if (estimate && estimator.measured())
    send_->data.OnEstimate(*estimate, send_->target_bps, estimator.congested(), now);
  AllocateAfterEstimate(now);
}

// True: the packet waits or was dropped, and counted.
bool Transport::Hold(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                     std::optional<int64_t> rtx_sequence, Timestamp now) {
  if (!stream.video) return false;
  const bool idle = send_->queue.empty();
  if (idle && send_->budget.Allows(now)) return false;
  QueuedPacket waiting{stream, rewritten, packet.layer, packet.sequence_number, rtx_sequence, 0};
  waiting.size = static_cast<uint16_t>(packet.payload.size() + kTypicalOverhead);
  if (!send_->queue.Push(waiting)) {
    ++send_->queue_drops;
    context_.drops.Count(DropReason::kPacerOverflow);
    return true;
  }
  if (idle) Schedule();
  return true;
}

void Transport::DropWaiting(Ssrc ssrc) { send_->stale_drops += send_->queue.MakeEmpty(ssrc); }

size_t Transport::SendQueued(const QueuedPacket& waiting, Timestamp now) {
  const PublishedLayer* layer = context_.layers.Find(waiting.layer);
  const SourcePacket* packet = layer == nullptr ? nullptr : layer->Find(waiting.source_sequence);
  if (packet == nullptr) {
    ++send_->expired_drops;
    context_.drops.Count(DropReason::kPacerExpired);
    return 0;
  }
  if (waiting.rtx_sequence)
    return SealRtx(waiting.stream, *packet, waiting.rewritten, *waiting.rtx_sequence, now);
  return SealMedia(waiting.stream, *packet, waiting.rewritten, now);
}

// What waits and what probes, as far as their time has come.
void Transport::PumpSending(Timestamp now) {
  if (!ready()) return;
  PumpProbes(now);
  while (send_->data.due(now)) {
    const std::vector<uint8_t> packet = send_->data.Pop();
    send_->data.OnSent(packet.size() + kTypicalOverhead, now);
    SealData(packet);
  }
  const int64_t run_bytes =
      send_->estimator.estimate_bps().value_or(INT32_MAX) / 8 * PacingBudget::kRun.count() / 1'000'000;
  int64_t bytes = 0;
  for (size_t i = 0; i < kRunPackets && !send_->queue.empty() && send_->budget.Allows(now); ++i) {
    if (i > 0 && bytes >= run_bytes) break;
    bytes += static_cast<int64_t>(SendQueued(*send_->queue.Pop(), now));
  }
}

void Transport::PumpProbes(Timestamp now) {
  for (int i = 0; i < kProbePacketsAtOnce; ++i) {
    if (!send_->probe) {
      const std::optional<ProbeCluster> cluster = send_->estimator.TakeProbe(now);
      if (!cluster) return;
      send_->probe.emplace(*cluster, now);
    }
    if (now < send_->probe->due()) return;
    // What waits anyway probes as well as padding does.
    const std::optional<QueuedPacket> waiting = send_->queue.Pop();
    const size_t sent = waiting ? SendQueued(*waiting, now) : SendPadding(now);
    if (waiting && sent == 0) continue;
    if (sent == 0 || send_->probe->stale(now)) {
      send_->probe.reset();
      return;
    }
    if (send_->probe->done()) send_->probe.reset();
  }
}

// From the video slots in turn: what was sent lately again, as a retransmission; the receiver drops it as a
// repeat, and no number of the media's own is used up.
size_t Transport::SendPadding(Timestamp now) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    SubscriberSlot& slot = *slots_[send_->padding_slot++ % slots_.size()];
    if (slot.settings().kind != MediaKind::kVideo) continue;
    const size_t sent = slot.SendPadding(now);
    if (sent == 0) continue;
    ++send_->probe_packets;
    return sent;
  }
  return 0;
}

Timestamp Transport::NextSendDeadline() const {
  Timestamp next = send_->data.next();
  if (!send_->queue.empty()) next = std::min(next, send_->budget.next());
  if (send_->probe) next = std::min(next, send_->probe->due());
  return next;
}

}  // namespace nexus
