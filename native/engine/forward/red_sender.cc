#include "engine/forward/red_sender.h"

#include <algorithm>

namespace nexus {

void RedSender::OnFractionLost(uint8_t fraction_lost, Timestamp now) {
  if (fraction_lost >= config_.loss_threshold) lost_at_ = now;
  if (fraction_lost >= config_.heavy_loss_threshold) lost_much_at_ = now;
}

size_t RedSender::Distance(bool redundant, Timestamp now) const {
  const auto lately = [&](const std::optional<Timestamp>& at) {
    return at && now - *at < config_.loss_memory;
  };
  if (config_.distance == 0 || (!redundant && !lately(lost_at_))) return 0;
  return std::min<size_t>(kMaxRedDistance, config_.distance + (lately(lost_much_at_) ? 1 : 0));
}

ByteView WriteRedundancy(MutableByteView scratch, const SlotHistory& history, LayerId layer,
                         const PacketRing& ring, const SourcePacket& packet, const Rewritten& rewritten,
                         PayloadType primary_type, size_t distance) {
  std::array<RedBlock, kMaxRedDistance> newest_first;
  size_t count = 0;
  size_t size = packet.payload.size();
  while (count < std::min(distance, kMaxRedDistance)) {
    const auto sent = history.Find(rewritten.sequence_number - static_cast<int64_t>(count) - 1);
    if (!sent || sent->layer != layer || sent->rewritten.csrc != rewritten.csrc) break;
    const SourcePacket* earlier = ring.Find(sent->source_sequence);
    const uint32_t offset = rewritten.timestamp - sent->rewritten.timestamp;
    if (earlier == nullptr || earlier->payload.empty() || offset == 0 || offset > kMaxRedTimestampOffset)
      break;
    size += earlier->payload.size();
    if (earlier->payload.size() > kMaxRedBlockSize || size > kMaxRedPayload) break;
    newest_first[count++] = {primary_type, static_cast<uint16_t>(offset), earlier->payload};
  }
  if (count == 0) return {};
  std::array<RedBlock, kMaxRedDistance> blocks = newest_first;
  std::reverse(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(count));
  return scratch.first(WriteRedPrefix(scratch, primary_type, std::span(blocks).first(count)));
}

}  // namespace nexus
