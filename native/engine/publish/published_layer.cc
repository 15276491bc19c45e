#include "engine/publish/published_layer.h"

namespace nexus {
namespace {

constexpr size_t kVideoRing = 1024;
constexpr size_t kAudioRing = 256;

DropReason ReasonFor(InsertOutcome outcome) {
  switch (outcome) {
    case InsertOutcome::kDuplicate:
      return DropReason::kDuplicate;
    case InsertOutcome::kTooOld:
      return DropReason::kTooOld;
    case InsertOutcome::kTooLarge:
      return DropReason::kTooLarge;
    case InsertOutcome::kStored:
      break;
  }
  return DropReason::kCount;
}

}  // namespace

PublishedLayer::PublishedLayer(ShardContext& context, PublishedTrack& track, std::string rid,
                               uint8_t encoding, Duration nack_patience)
    : context_(context),
      track_(track),
      id_(context.layers.Add(this)),
      rid_(std::move(rid)),
      encoding_(encoding),
      nacks_(NackConfig{}),
      keyframe_requests_(KeyframeRequesterConfig{context.config.keyframe_interval}) {
  nacks_.set_patience(nack_patience);
}

PublishedLayer::~PublishedLayer() { context_.layers.Remove(id_); }

void PublishedLayer::UseCodec(const CodecBinding& codec) {
  if (codec_ && codec_->payload_type == codec.payload_type && codec_->codec == codec.codec) return;
  if (!codec_ || codec_->codec != codec.codec) {
    inspector_.emplace(codec.codec);
    keyframe_cache_.Forget();
    remembered_sets_.Forget();
  }
  if (!ring_) {
    PacketRingConfig config;
    config.capacity = IsVideo(codec.codec) ? kVideoRing : kAudioRing;
    ring_.emplace(config);
    clock_.emplace(codec.clock_rate);
    stats_.emplace(*ssrc_, codec.clock_rate);
  }
  codec_ = codec;
}

void PublishedLayer::Count(const Arrival& arrival, int64_t sequence) {
  last_packet_ = arrival.now;
  const RtpHeader& header = arrival.packet.header();
  stats_->OnPacket(sequence, header.timestamp, arrival.received, arrival.packet.packet().size(),
                   arrival.repaired);
  // Audio is concealed or recovered from redundancy; a retransmission would come too late.
  if (!IsVideo(codec_->codec)) return;
  nacks_.OnPacket(sequence, arrival.now);
  // More is lost than can be repaired: a keyframe now is quicker than waiting for requests of subscribers.
  if (nacks_.TakeOverflow()) keyframe_requests_.Request();
}

const SourcePacket* PublishedLayer::Receive(const Arrival& arrival, RemoteClockOffset& remote,
                                            DropReason& reason) {
  UseCodec(arrival.codec);
  const RtpHeader& header = arrival.packet.header();
  SourcePacket packet;
  packet.layer = id_;
  packet.sequence_number = sequence_.Unwrap(header.sequence_number);
  packet.timestamp = timestamp_.Unwrap(header.timestamp);
  Count(arrival, packet.sequence_number);
  packet.arrival = arrival.received;
  packet.media_time = clock_->OnPacket(packet.sequence_number, packet.timestamp, arrival.received, remote);
  packet.marker = header.marker;
  packet.payload = arrival.red != nullptr ? arrival.red->primary : arrival.packet.payload();
  packet.redundant = arrival.red != nullptr;
  packet.dependency_descriptor = arrival.extensions.dependency_descriptor;
  packet.audio_level = arrival.extensions.audio_level;
  packet.video_orientation = arrival.extensions.video_orientation;
  return Store(packet, arrival.packet.packet().size(), arrival.now, reason);
}

const SourcePacket* PublishedLayer::ReceiveRelayed(SourcePacket packet, const CodecBinding& codec,
                                                   Timestamp now, DropReason& reason) {
  UseCodec(codec);
  last_packet_ = now;
  packet.layer = id_;
  return Store(packet, packet.payload.size(), now, reason);
}

// Inspects and stores the packet; `size` counts for the rate of its layer.
const SourcePacket* PublishedLayer::Store(SourcePacket& packet, size_t size, Timestamp now,
                                          DropReason& reason) {
  if (!packet.payload.empty()) {
    packet.frame = inspector_->Inspect(packet.payload, static_cast<uint32_t>(packet.timestamp), packet.marker,
                                       packet.dependency_descriptor);
  }
  const SourcePacket* stored = nullptr;
  const InsertOutcome outcome = ring_->Insert(packet, stored);
  if (outcome != InsertOutcome::kStored) {
    reason = ReasonFor(outcome);
    return nullptr;
  }
  if (codec_->codec == Codec::kH264) {
    SourcePacket& held = *ring_->FindToCorrect(packet.sequence_number);
    remembered_sets_.OnPacket(*ring_, held);
    packet.frame = held.frame;
  }
  meter_.OnPacket(packet.frame.spatial_id, packet.frame.temporal_id, size, packet.frame.frame_start, now);
  if (packet.frame.dependency && packet.frame.dependency->has_structure) {
    ReadAgainBehind(packet.sequence_number);
  }
  if (IsVideo(codec_->codec)) keyframe_cache_.OnPacket(*stored);
  if (packet.frame.keyframe_start) {
    ++keyframe_count_;
    keyframe_requests_.OnKeyframe(now);
  }
  return stored;
}

// Report blocks still count a recovered packet as lost, since the encoder adapts its redundancy to that loss.
size_t PublishedLayer::Recover(const RedPacket& red, const SourcePacket& primary,
                               std::span<const SourcePacket*> recovered) {
  std::array<LostAudio, kKeptRedBlocks> lost;
  const size_t found = FindLostAudio(*ring_, red, primary, std::span(lost).first(recovered.size()));
  size_t count = 0;
  for (size_t i = 0; i < found; ++i) {
    SourcePacket packet = primary;  // the CSRCs (RFC 2198 section 3), and the level, as it has none
    packet.sequence_number = lost[i].sequence_number;
    packet.timestamp = lost[i].timestamp;
    packet.media_time -= Duration((primary.timestamp - lost[i].timestamp) * 1'000'000 / codec_->clock_rate);
    packet.payload = lost[i].payload;
    packet.marker = false;
    packet.frame = inspector_->Inspect(packet.payload, static_cast<uint32_t>(packet.timestamp), false, {});
    if (ring_->Insert(packet, recovered[count]) == InsertOutcome::kStored) ++count;
  }
  red_recovered_ += count;
  return count;
}

// Inspects packets behind a structure that came late: they could not be interpreted without it.
void PublishedLayer::ReadAgainBehind(int64_t sequence) {
  for (int64_t next = sequence + 1; next <= *ring_->newest(); ++next) {
    SourcePacket* held = ring_->FindToCorrect(next);
    if (held == nullptr || !held->frame.dependency || held->frame.dependency->layer_known) continue;
    inspector_->InspectDependency(held->dependency_descriptor, held->frame);
  }
}

void PublishedLayer::ReceiveMuted(const Arrival& arrival) {
  UseCodec(arrival.codec);
  Count(arrival, sequence_.Unwrap(arrival.packet.header().sequence_number));
  timestamp_.Unwrap(arrival.packet.header().timestamp);
  nacks_.Clear();
}

bool PublishedLayer::OnSenderReport(const SenderReport& report, Timestamp now) {
  if (!clock_) return false;
  clock_->OnSenderReport(report.ntp, report.rtp_timestamp);
  stats_->OnSenderReport(report.ntp, now);
  return true;
}

const SourcePacket* PublishedLayer::Find(int64_t number) const {
  const SourcePacket* packet = ring_ ? ring_->Find(number) : nullptr;
  return packet != nullptr ? packet : remembered_sets_.Find(number);
}

}  // namespace nexus
