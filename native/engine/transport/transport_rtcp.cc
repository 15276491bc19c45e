// RTCP from the peer: sender reports of what it publishes, reception and feedback about what it is sent.
#include "engine/base/overloaded.h"
#include "engine/room/room.h"
#include "engine/transport/transport.h"

namespace nexus {

void Transport::HandleRtcp(MutableByteView datagram, const SocketAddress& from, Timestamp now) {
  if (!opener_) return context_.drops.Count(DropReason::kNoKeys);
  const std::optional<size_t> size = opener_->OpenRtcp(datagram);
  if (!size) return context_.drops.Count(DropReason::kSrtpRejected);
  NoteTraffic(from, now);
  ++packets_in_;
  bytes_in_ += datagram.size();
  RtcpReader reader(datagram.first(*size));
  while (const auto item = reader.Next()) HandleRtcpItem(*item, now);
  if (reader.malformed()) context_.drops.Count(DropReason::kRtcpMalformed);
  Schedule();
}

SubscriberSlot* Transport::SlotBySsrc(Ssrc ssrc) const {
  const auto found = slots_by_ssrc_.find(ssrc);
  return found == slots_by_ssrc_.end() ? nullptr : found->second;
}

void Transport::HandleRtcpItem(const RtcpItem& item, Timestamp now) {
  std::visit(Overloaded{
                 [&](const SenderReport& report) {
                   const auto source = ssrcs_.find(report.sender);
                   if (source != ssrcs_.end() && !source->second.rtx)
                     source->second.layer->OnSenderReport(report, now);
                   HandleReportBlocks(report.blocks, now);
                 },
                 [&](const ReceiverReport& report) { HandleReportBlocks(report.blocks, now); },
                 [&](const Nack& nack) {
                   if (SubscriberSlot* slot = SlotBySsrc(nack.media)) slot->OnNack(nack, now);
                 },
                 [&](const PictureLoss& loss) {
                   if (SubscriberSlot* slot = SlotBySsrc(loss.media)) slot->OnKeyframeRequest();
                 },
                 [&](const FullIntra& request) {
                   // RFC 5104 section 4.3.1.2: the target stands in the item, the header's media SSRC is 0.
                   for (size_t i = 0; i < request.size(); ++i) {
                     if (SubscriberSlot* slot = SlotBySsrc(request.target(i))) slot->OnKeyframeRequest();
                   }
                 },
                 [&](const TwccFeedbackView& feedback) {
                   send_->estimator.OnFeedback(feedback, now);
                   OnEstimate(now);
                   PumpSending(now);
                 },
                 [&](const Remb& remb) {
                   send_->estimator.OnRemb(
                       static_cast<int64_t>(std::min<uint64_t>(remb.bitrate_bps, INT64_MAX)), now);
                   OnEstimate(now);
                 },
                 [](const SdesCname&) {}, [](const Goodbye&) {},  // tracks end by signaling
             },
             item);
}

void Transport::HandleReportBlocks(const ReportBlocks& blocks, Timestamp now) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    const ReportBlock block = blocks[i];
    SubscriberSlot* slot = SlotBySsrc(block.source);
    if (slot == nullptr) continue;
    slot->OnReportBlock(block, now);
    if (const auto rtt = RoundTripTime(block, NtpFromTimestamp(now))) {
      rtt_ = *rtt;
      send_->estimator.OnRtt(*rtt);
    }
    send_->estimator.OnReport(block.fraction_lost, now);
  }
}

}  // namespace nexus
