// Probing packets of a slot, which carry no new media (hard problem 4).
#include "engine/subscribe/subscriber_slot.h"

namespace nexus {
namespace {

// Number of recent packets that are repeated: older ones could disturb a receiver's jitter buffer.
constexpr uint32_t kRepeatable = 16;

}  // namespace

size_t SubscriberSlot::SendPadding(Timestamp now) {
  if (!settings_.rtx_ssrc || !subscriber_.negotiated.codecs.AnyRtxPayloadType()) return SendMediaPadding(now);
  // Only once the subscriber has read media of the stream: Pion 4 learns the codec from the first packet that
  // it reads, a repeat has none, and the track would then never play.
  for (uint32_t i = 0; reported_ && i < kRepeatable; ++i) {
    const std::optional<SentPacket> sent =
        history_.Find(*forwarder_.highest_sequence() - padding_turn_++ % kRepeatable);
    const PublishedLayer* layer = sent ? context_.layers.Find(sent->layer) : nullptr;
    if (layer == nullptr || layer->ring() == nullptr || !layer->codec()) continue;
    const SourcePacket* packet = layer->ring()->Find(sent->source_sequence);
    const std::optional<OutgoingStream> stream = StreamFor(*layer->codec());
    if (packet == nullptr || !stream || stream->rtx_payload_type.value == 0) continue;
    const size_t size = subscriber_.sender.SealRtx(*stream, *packet, sent->rewritten, rtx_sequence_, now);
    if (size > 0) ++rtx_sequence_;
    return size;
  }
  const std::optional<PayloadType> payload_type = subscriber_.negotiated.codecs.AnyRtxPayloadType();
  if (!payload_type) return 0;
  OutgoingStream stream;
  stream.rtx_ssrc = *settings_.rtx_ssrc;
  stream.rtx_payload_type = *payload_type;
  stream.ids = subscriber_.negotiated.slot_extensions();
  const size_t size = subscriber_.sender.SealPadding(stream, rtx_sequence_, now);
  if (size > 0) ++rtx_sequence_;
  return size;
}

// Without a retransmission stream, padding uses sequence numbers of the media, and only between frames. If
// one is lost, the gap cannot be repaired, and the receiver must find by the picture ids that no frame is
// missing.
size_t SubscriberSlot::SendMediaPadding(Timestamp now) {
  if (!stream_ || shown_ == nullptr) return 0;
  const std::optional<Rewritten> padding = forwarder_.TakePadding();
  if (!padding) return 0;
  const size_t size = subscriber_.sender.SealMediaPadding(*stream_, *padding, now);
  if (size == 0) return 0;
  ++packets_;
  bytes_ += size;
  return size;
}

}  // namespace nexus
