#include "engine/transport/rtp_receiver.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "engine/rtp/rtx.h"

namespace nexus {
namespace {

// How long a layer's SSRC must be silent before another one may take its place (a publisher that restarted
// its encoder).
constexpr Duration kSsrcTakeover = std::chrono::seconds(2);

}  // namespace

bool RtpReceiver::HandleRtp(MutableByteView datagram, Timestamp received, Timestamp now) {
  if (!opener_) return context_.drops.Count(DropReason::kNoKeys), false;
  const std::optional<RtpHeader> header = ParseRtpHeader(datagram);
  if (!header) return context_.drops.Count(DropReason::kRtpMalformed), false;
  const std::optional<size_t> size = opener_->OpenRtp(datagram, header->header_size);
  if (!size) return context_.drops.Count(DropReason::kSrtpRejected), false;
  const std::optional<RtpPacketView> packet = CompleteRtp(*header, datagram.first(*size));
  if (!packet) return context_.drops.Count(DropReason::kRtpMalformed), true;
  ++packets_;
  bytes_ += datagram.size();

  const IncomingExtensions extensions = ReadExtensions(*packet, negotiated_.extensions);
  if (extensions.transport_sequence_number) {
    twcc_.OnPacket(*extensions.transport_sequence_number, received);
    last_media_ssrc_ = header->ssrc;
  }
  const SsrcBinding binding = Resolve(*header, extensions, now);
  if (binding.layer == nullptr) return true;
  if (binding.rtx) {
    HandleRetransmission(*binding.layer, *packet, received, now);
  } else {
    HandleMedia(*binding.layer, *packet, extensions, received, now, false);
  }
  return true;
}

std::optional<ByteView> RtpReceiver::OpenRtcp(MutableByteView datagram) {
  if (!opener_) return context_.drops.Count(DropReason::kNoKeys), std::nullopt;
  const std::optional<size_t> size = opener_->OpenRtcp(datagram);
  if (!size) return context_.drops.Count(DropReason::kSrtpRejected), std::nullopt;
  ++packets_;
  bytes_ += datagram.size();
  return datagram.first(*size);
}

void RtpReceiver::OnSenderReport(const SenderReport& report, Timestamp now) {
  const auto source = ssrcs_.find(report.sender);
  if (source == ssrcs_.end() || source->second.rtx) return;
  PublishedLayer& layer = *source->second.layer;
  layer.track().OnSenderReport(layer, report, now);
}

bool RtpReceiver::Speaks(ParticipantNumber owner, Timestamp now) const {
  return std::any_of(tracks_.begin(), tracks_.end(), [&](const auto& track) {
    return track->kind() == MediaKind::kAudio && track->owner() == owner && !track->muted() &&
           track->started() && !track->silent(now);
  });
}

RtpReceiver::SsrcBinding RtpReceiver::Resolve(const RtpHeader& header, const IncomingExtensions& extensions,
                                              Timestamp now) {
  const auto known = ssrcs_.find(header.ssrc);
  if (known != ssrcs_.end()) return known->second;
  return Learn(header, extensions, now);
}

PublishedTrack* RtpReceiver::TrackByMid(std::string_view mid) const {
  if (mid.empty()) return nullptr;
  for (const auto& track : tracks_) {
    if (track->settings().mid == mid) return track.get();
  }
  return nullptr;
}

// The only track with this payload type; null for one with several encodings, which it does not distinguish.
PublishedTrack* RtpReceiver::TrackByPayloadType(PayloadType type) const {
  PublishedTrack* found = nullptr;
  for (const auto& track : tracks_) {
    const std::vector<PayloadType>& own = track->settings().payload_types;
    if (std::find(own.begin(), own.end(), type) == own.end()) continue;
    if (found != nullptr || track->settings().ssrcs.size() > 1) return nullptr;
    found = track.get();
  }
  return found;
}

// The MID of a packet identifies its section, or else a payload type that no other section has (RFC 9143
// section 9.2); its RID identifies the layer (RFC 8852). State is created only for negotiated layers, with
// one SSRC each, so that invented SSRCs cost nothing (hard problem 9).
RtpReceiver::SsrcBinding RtpReceiver::Learn(const RtpHeader& header, const IncomingExtensions& extensions,
                                            Timestamp now) {
  PublishedTrack* track =
      extensions.mid.empty() ? TrackByPayloadType(header.payload_type) : TrackByMid(extensions.mid);
  if (track == nullptr) return context_.drops.Count(DropReason::kUnknownSsrc), SsrcBinding{};
  const bool rtx = negotiated_.codecs.ByRtxPayloadType(header.payload_type) != nullptr;
  std::string_view rid = rtx ? extensions.repaired_rid : extensions.rid;
  const std::vector<std::string>& rids = track->settings().rids;
  if (rids.empty()) rid = {};
  if (!rids.empty() && std::find(rids.begin(), rids.end(), rid) == rids.end()) {
    return context_.drops.Count(DropReason::kUnknownSsrc), SsrcBinding{};
  }
  PublishedLayer* layer = track->LayerFor(rid);
  if (layer == nullptr) return context_.drops.Count(DropReason::kSsrcTableFull), SsrcBinding{};
  if (rtx) {
    // The RTX SSRC changes only together with that of the layer, because it restores packets of the layer.
    if (layer->rtx_ssrc()) return context_.drops.Count(DropReason::kSsrcTableFull), SsrcBinding{};
    layer->set_rtx_ssrc(header.ssrc);
  } else if (!layer->ssrc()) {
    layer->set_ssrc(header.ssrc);
  } else if (now - layer->last_packet() < kSsrcTakeover) {
    return context_.drops.Count(DropReason::kSsrcTableFull), SsrcBinding{};
  } else {
    ForgetLayer(*layer);
    layer = track->ReplaceLayer(*layer);
    layer->set_ssrc(header.ssrc);
  }
  return ssrcs_[header.ssrc] = SsrcBinding{layer, rtx};
}

void RtpReceiver::ForgetLayer(const PublishedLayer& layer) {
  if (layer.ssrc()) ssrcs_.erase(*layer.ssrc());
  if (layer.rtx_ssrc()) ssrcs_.erase(*layer.rtx_ssrc());
}

void RtpReceiver::HandleRetransmission(PublishedLayer& layer, const RtpPacketView& packet, Timestamp received,
                                       Timestamp now) {
  const CodecBinding* codec = negotiated_.codecs.ByRtxPayloadType(packet.header().payload_type);
  if (codec == nullptr) return context_.drops.Count(DropReason::kUnknownPayloadType);
  if (!layer.ssrc() || !layer.codec()) return context_.drops.Count(DropReason::kRtxUnusable);
  std::array<uint8_t, 2048> buffer;
  const size_t size = RestoreFromRtx(packet, *layer.ssrc(), codec->payload_type, buffer);
  // Bandwidth probes are RTX packets without an original (hard problem 4).
  if (size == 0) return context_.drops.Count(DropReason::kRtxUnusable);
  const std::optional<RtpPacketView> original = ParseRtp(ByteView(buffer).first(size));
  if (!original) return context_.drops.Count(DropReason::kRtxUnusable);
  HandleMedia(layer, *original, ReadExtensions(*original, negotiated_.extensions), received, now, true);
}

void RtpReceiver::HandleMedia(PublishedLayer& layer, const RtpPacketView& packet,
                              const IncomingExtensions& extensions, Timestamp received, Timestamp now,
                              bool repaired) {
  PublishedTrack& track = layer.track();
  const PayloadType type = packet.header().payload_type;
  const CodecBinding* codec = negotiated_.codecs.ByPayloadType(type);
  std::optional<RedPacket> red;
  if (codec == nullptr && (codec = negotiated_.codecs.ByRedPayloadType(type)) != nullptr &&
      !packet.payload().empty()) {
    red = ParseRed(packet.payload());
    if (!red || red->primary_type != codec->payload_type) {
      return context_.drops.Count(DropReason::kRedMalformed);
    }
  }
  if (codec == nullptr) return context_.drops.Count(DropReason::kUnknownPayloadType);
  if (IsVideo(codec->codec) != (track.kind() == MediaKind::kVideo)) {
    return context_.drops.Count(DropReason::kCodecKindMismatch);
  }
  const PublishedLayer::Arrival arrival{packet,   extensions,           *codec, received, now,
                                        repaired, red ? &*red : nullptr};
  if (track.Start()) context_.events.Push(TrackStarted{track.id(), codec->codec});
  if (track.muted()) {
    layer.ReceiveMuted(arrival);
    return context_.drops.Count(DropReason::kMuted);
  }
  DropReason reason = DropReason::kCount;
  const SourcePacket* stored = track.Receive(layer, arrival, remote_clock_, reason);
  if (stored == nullptr) return context_.drops.Count(reason);
  if (stored->payload.empty()) context_.drops.Count(DropReason::kPaddingOnly);
  if (track.kind() == MediaKind::kAudio) track.NoteAudioLevel(*stored, now);
  if (red) DeliverRecovered(layer, *red, *stored, now);
  if (!repaired) fan_out_.NoteArrival(layer, *stored, now);
  fan_out_.Deliver(layer, *stored, now);
}

void RtpReceiver::DeliverRecovered(PublishedLayer& layer, const RedPacket& red, const SourcePacket& primary,
                                   Timestamp now) {
  std::array<const SourcePacket*, kKeptRedBlocks> recovered{};
  const size_t count = layer.Recover(red, primary, recovered);
  for (size_t i = 0; i < count; ++i) fan_out_.Deliver(layer, *recovered[i], now);
}

PublishedTrack* RtpReceiver::AddTrack(TrackId id, const TrackSettings& settings, std::string_view& refusal) {
  if (tracks_.size() >= context_.config.max_tracks_per_transport) return refusal = "too_many_tracks", nullptr;
  std::unordered_set<Ssrc> own;
  for (const auto* list : {&settings.ssrcs, &settings.rtx_ssrcs}) {
    for (const Ssrc ssrc : *list) {
      if (ssrcs_.contains(ssrc) || !own.insert(ssrc).second) return refusal = "ssrc_in_use", nullptr;
    }
  }
  if (!settings.mid.empty() && TrackByMid(settings.mid) != nullptr) return refusal = "mid_in_use", nullptr;
  tracks_.push_back(std::make_unique<PublishedTrack>(context_, publisher_, id, settings));
  PublishedTrack& track = *tracks_.back();
  for (size_t i = 0; i < settings.ssrcs.size() && i < context_.config.max_layers_per_track; ++i) {
    const std::string rid = i < settings.rids.size() ? settings.rids[i]
                            : i == 0                 ? ""
                                                     : "#" + std::to_string(i);
    PublishedLayer* layer = track.LayerFor(rid);
    if (layer == nullptr || layer->ssrc()) continue;  // of two SSRCs with one RID the first counts
    layer->set_ssrc(settings.ssrcs[i]);
    ssrcs_[settings.ssrcs[i]] = {layer, false};
    if (i >= settings.rtx_ssrcs.size()) continue;
    layer->set_rtx_ssrc(settings.rtx_ssrcs[i]);
    ssrcs_[settings.rtx_ssrcs[i]] = {layer, true};
  }
  return &track;
}

void RtpReceiver::RemoveTrack(PublishedTrack& track) {
  for (const auto& layer : track.layers()) ForgetLayer(*layer);
  std::erase_if(tracks_, [&](const auto& owned) { return owned.get() == &track; });
}

}  // namespace nexus
