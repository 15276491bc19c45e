#include "testing/test_streams.h"

#include <sstream>
#include <utility>

#include "engine/codec/av1/dependency_descriptor.h"
#include "engine/rtp/red.h"
#include "testing/vp8_payload.h"

namespace nexus::testing {

uint32_t PublishedStream::TimestampAt(Timestamp now) const {
  const int64_t rate = options.kind == MediaKind::kVideo ? 90'000 : 48'000;
  return options.first_timestamp + timestamp_offset +
         static_cast<uint32_t>(now.time_since_epoch().count() * rate / 1'000'000);
}

void PayloadMark::Write(std::vector<uint8_t>& out) const {
  std::array<uint8_t, kSize> bytes;
  ByteWriter writer(bytes);
  writer.U32(mark);
  writer.U32(frame);
  writer.U16(packet);
  writer.U64(static_cast<uint64_t>(sampled_us));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::optional<PayloadMark> PayloadMark::Read(ByteView bytes) {
  ByteReader reader(bytes);
  PayloadMark mark;
  mark.mark = reader.U32();
  mark.frame = reader.U32();
  mark.packet = reader.U16();
  mark.sampled_us = static_cast<int64_t>(reader.U64());
  if (!reader.ok()) return std::nullopt;
  return mark;
}

ReceivedStream::ReceivedStream(Ssrc ssrc, std::optional<Ssrc> rtx_ssrc, MediaKind kind)
    : ssrc(ssrc), rtx_ssrc(rtx_ssrc), kind(kind) {}

namespace {

std::optional<PayloadMark> MarkOfAudio(ByteView payload) {
  return PayloadMark::Read(payload.subspan(std::min<size_t>(payload.size(), 1)));  // behind the Opus TOC
}

}  // namespace

bool ReceivedStream::OnPacket(const RtpPacketView& packet, Timestamp now, bool repaired, bool red,
                              ByteView descriptor) {
  ReceivedPacket received;
  received.sequence = sequence_.Unwrap(packet.header().sequence_number);
  if (!first_arrived_) first_arrived_ = received.sequence;
  received.timestamp = packet.header().timestamp;
  received.marker = packet.header().marker;
  received.csrc = packet.header().csrc_count == 1 ? packet.csrc(0) : 0;
  received.repaired = repaired;
  received.arrival = now;
  received.payload_type = packet.header().payload_type.value;
  received.payload_size = packet.payload().size();
  received.payload.assign(packet.payload().begin(), packet.payload().end());
  received.descriptor.assign(descriptor.begin(), descriptor.end());
  ByteView rest = packet.payload();
  if (const auto parsed = red ? ParseRed(rest) : std::nullopt) {
    rest = parsed->primary;
    for (const RedBlock& block : parsed->redundant()) {
      received.redundant.push_back({received.timestamp - block.timestamp_offset, MarkOfAudio(block.payload)});
    }
  }
  if (kind == MediaKind::kVideo) {
    received.vp8 = ParseVp8Descriptor(rest);
    if (received.vp8) {
      received.keyframe_start = IsVp8KeyframeStart(*received.vp8, rest);
      rest = rest.subspan(received.vp8->size);
      // The frame tag and start code of the first packet, one byte of others (see TestPeer::SendVideoFrame).
      rest = rest.subspan(
          std::min<size_t>(rest.size(), received.vp8->start_of_partition ? kVp8FrameStartSize : 1));
    }
  }
  received.mark = kind == MediaKind::kVideo ? PayloadMark::Read(rest) : MarkOfAudio(rest);
  const auto [first, fresh] = packets.emplace(received.sequence, received);
  if (fresh) return received.keyframe_start;
  ++duplicates;
  const ReceivedPacket& before = first->second;
  const bool same = before.payload == received.payload && before.timestamp == received.timestamp &&
                    before.marker == received.marker && before.csrc == received.csrc &&
                    before.descriptor == received.descriptor;
  if (!same) ++altered;
  return received.keyframe_start;
}

std::vector<int64_t> ReceivedStream::Missing() const {
  std::vector<int64_t> missing;
  if (!first_arrived_) return missing;
  int64_t expected = *first_arrived_;
  for (auto packet = packets.find(expected); packet != packets.end(); ++packet) {
    for (; expected < packet->first; ++expected) missing.push_back(expected);
    expected = packet->first + 1;
  }
  return missing;
}

bool ReceivedStream::IsCutOff(const ReceivedPacket& packet,
                              const std::map<int64_t, int64_t>& switches) const {
  constexpr int64_t kRepairTimeUs = 100'000;
  const auto next = switches.upper_bound(packet.sequence);
  return next != switches.end() && packet.mark && next->second - packet.mark->sampled_us < kRepairTimeUs;
}

std::string ReceivedStream::Faults(const std::map<uint32_t, uint32_t>& csrc_of_mark) const {
  std::ostringstream faults;
  std::map<int64_t, int64_t> switches;  // first packet of a source: when it was sampled
  uint32_t shown = 0;
  for (const auto& [sequence, packet] : packets) {
    if (std::exchange(shown, packet.csrc) != packet.csrc && packet.mark)
      switches[sequence] = packet.mark->sampled_us;
  }
  const ReceivedPacket* before = nullptr;
  int64_t padding = 0;
  for (const auto& [sequence, packet] : packets) {
    if (kind == MediaKind::kVideo && packet.payload_size == 0 && before != nullptr) {
      // Padding takes a sequence number and has the timestamp of the frame before.
      if (packet.csrc != before->csrc || packet.timestamp != before->timestamp)
        faults << sequence << ": padding of another frame\n";
      ++padding;
      continue;
    }
    if (!packet.mark || !csrc_of_mark.contains(packet.mark->mark) ||
        csrc_of_mark.at(packet.mark->mark) != packet.csrc) {
      faults << sequence << ": payload of another than CSRC " << packet.csrc << "\n";
    }
    const bool new_source = before == nullptr || before->csrc != packet.csrc;
    if (kind == MediaKind::kVideo && new_source && !packet.keyframe_start) {
      faults << sequence << ": source " << packet.csrc << " begins without a keyframe\n";
    }
    if (before != nullptr) {
      const int64_t gap = sequence - before->sequence - 1 - std::exchange(padding, 0);
      // One number is left free behind a frame that a switch cut off.
      const bool free_number = gap == 1 && packet.keyframe_start && !before->marker;
      const bool cut_off = gap > 0 && IsCutOff(packet, switches);
      if (gap > 0 && !free_number && !cut_off) faults << sequence << ": " << gap << " missing before it\n";
      const bool same_frame = before->mark && packet.mark && before->mark->mark == packet.mark->mark &&
                              before->mark->frame == packet.mark->frame;
      const auto step = static_cast<int32_t>(packet.timestamp - before->timestamp);
      if (step < 0 || (step == 0) != same_frame) faults << sequence << ": time steps by " << step << "\n";
      if (packet.vp8 && before->vp8) {
        const int id_step = (packet.vp8->picture_id - before->vp8->picture_id) & 0x7FFF;
        if (id_step != (same_frame ? 0 : 1) && !cut_off)
          faults << sequence << ": picture id steps by " << id_step << "\n";
      }
    }
    before = &packet;
  }
  return faults.str();
}

std::string ReceivedStream::DescriptorFaults() const {
  std::ostringstream faults;
  DependencyState state;
  std::optional<uint16_t> newest;
  const ReceivedPacket* before = nullptr;
  for (const auto& [sequence, packet] : packets) {
    if (packet.payload_size == 0 || !packet.mark) continue;
    const auto read = ParseDependencyDescriptor(packet.descriptor, state);
    if (!read || !read->layer_known) {
      faults << sequence << (read ? ": unknown structure\n" : ": no descriptor\n");
      continue;
    }
    const bool same_source = before != nullptr && before->mark->mark == packet.mark->mark;
    const bool same_frame = same_source && before->mark->frame == packet.mark->frame;
    if (newest) {
      const auto step = static_cast<uint16_t>(read->frame_number - *newest);
      if (same_frame ? step != 0 : step == 0 || step > 0x7FFF)
        faults << sequence << ": number steps by " << step << "\n";
      if (before != nullptr && !same_source && step != 1)
        faults << sequence << ": a gap of " << step << " at a switch\n";
      const bool next = same_source && before->marker && sequence == before->sequence + 1;
      if (next && read->frame_diffs.count == 1 && read->frame_diffs.values[0] != step)
        faults << sequence << ": follows another than the frame before\n";
    }
    if (read->BeginsKeyframe() != (packet.mark->packet == 0 && read->frame_diffs.count == 0))
      faults << sequence << ": a keyframe without its structure\n";
    newest = read->frame_number;
    before = &packet;
  }
  return faults.str();
}

std::optional<int64_t> ReceivedStream::PresentationUs(const ReceivedPacket& packet) const {
  if (!sr_timestamp || !sr_ntp_us) return std::nullopt;
  const int64_t rate = kind == MediaKind::kVideo ? 90'000 : 48'000;
  const auto ticks = static_cast<int32_t>(packet.timestamp - *sr_timestamp);
  return *sr_ntp_us + int64_t{ticks} * 1'000'000 / rate;
}

}  // namespace nexus::testing
