// RTP from the peer: opened, recorded for feedback, given to the layer it belongs to, routed.
#include <algorithm>

#include "engine/room/room.h"
#include "engine/rtp/rtx.h"
#include "engine/transport/transport.h"

namespace nexus {
namespace {

// So long nothing came before another SSRC may take the place of a layer's (a publisher that restarted its
// encoder).
constexpr Duration kSsrcTakeover = std::chrono::seconds(2);

}  // namespace

void Transport::HandleRtp(MutableByteView datagram, const SocketAddress& from, Timestamp received,
                          Timestamp now) {
  if (!opener_) return context_.drops.Count(DropReason::kNoKeys);
  const std::optional<RtpHeader> header = ParseRtpHeader(datagram);
  if (!header) return context_.drops.Count(DropReason::kRtpMalformed);
  const std::optional<size_t> size = opener_->OpenRtp(datagram, header->header_size);
  if (!size) return context_.drops.Count(DropReason::kSrtpRejected);
  NoteTraffic(from, now);
  const std::optional<RtpPacketView> packet = CompleteRtp(*header, datagram.first(*size));
  if (!packet) return context_.drops.Count(DropReason::kRtpMalformed);
  ++packets_in_;
  bytes_in_ += datagram.size();

  const IncomingExtensions extensions = ReadExtensions(*packet, extensions_);
  if (extensions.transport_sequence_number) {
    twcc_.OnPacket(*extensions.transport_sequence_number, received);
    last_media_ssrc_ = header->ssrc;
  }
  const SsrcBinding binding = Resolve(*header, extensions, now);
  if (binding.layer == nullptr) return Schedule();
  if (binding.rtx) {
    HandleRetransmission(*binding.layer, *packet, received, now);
  } else {
    HandleMedia(*binding.layer, *packet, extensions, received, now, false);
  }
  Schedule();
}

Transport::SsrcBinding Transport::Resolve(const RtpHeader& header, const IncomingExtensions& extensions,
                                          Timestamp now) {
  const auto known = ssrcs_.find(header.ssrc);
  if (known != ssrcs_.end()) return known->second;
  return Learn(header, extensions, now);
}

PublishedTrack* Transport::TrackByMid(std::string_view mid) const {
  if (mid.empty()) return nullptr;
  for (const auto& track : tracks_) {
    if (track->settings().mid == mid) return track.get();
  }
  return nullptr;
}

// The only one that has it. Encodings of a track cannot be told from one another so.
PublishedTrack* Transport::TrackByPayloadType(PayloadType type) const {
  PublishedTrack* found = nullptr;
  for (const auto& track : tracks_) {
    const std::vector<PayloadType>& own = track->settings().payload_types;
    if (std::find(own.begin(), own.end(), type) == own.end()) continue;
    if (found != nullptr || track->settings().ssrcs.size() > 1) return nullptr;
    found = track.get();
  }
  return found;
}

// RFC 9143 section 9.2: a packet's MID names its section, or a payload type that no other has; RFC 8852: its
// RID the layer. State is made only for what was negotiated, one SSRC a layer, so that invented SSRCs cost
// nothing (hard problem 9).
Transport::SsrcBinding Transport::Learn(const RtpHeader& header, const IncomingExtensions& extensions,
                                        Timestamp now) {
  PublishedTrack* track =
      extensions.mid.empty() ? TrackByPayloadType(header.payload_type) : TrackByMid(extensions.mid);
  if (track == nullptr) return context_.drops.Count(DropReason::kUnknownSsrc), SsrcBinding{};
  const bool rtx = codecs_.ByRtxPayloadType(header.payload_type) != nullptr;
  std::string_view rid = rtx ? extensions.repaired_rid : extensions.rid;
  const std::vector<std::string>& rids = track->settings().rids;
  if (rids.empty()) rid = {};
  if (!rids.empty() && std::find(rids.begin(), rids.end(), rid) == rids.end()) {
    return context_.drops.Count(DropReason::kUnknownSsrc), SsrcBinding{};
  }
  PublishedLayer* layer = track->LayerFor(rid);
  if (layer == nullptr) return context_.drops.Count(DropReason::kSsrcTableFull), SsrcBinding{};
  if (rtx) {
    // It changes only together with the layer's own: what is restored from it counts as the layer's packets.
    if (layer->rtx_ssrc) return context_.drops.Count(DropReason::kSsrcTableFull), SsrcBinding{};
    layer->rtx_ssrc = header.ssrc;
  } else if (!layer->ssrc) {
    layer->ssrc = header.ssrc;
  } else if (now - layer->last_packet() < kSsrcTakeover) {
    return context_.drops.Count(DropReason::kSsrcTableFull), SsrcBinding{};
  } else {
    ForgetLayer(*layer);
    layer = track->ReplaceLayer(*layer);
    layer->ssrc = header.ssrc;
  }
  return ssrcs_[header.ssrc] = SsrcBinding{layer, rtx};
}

void Transport::ForgetLayer(const PublishedLayer& layer) {
  if (layer.ssrc) ssrcs_.erase(*layer.ssrc);
  if (layer.rtx_ssrc) ssrcs_.erase(*layer.rtx_ssrc);
}

void Transport::HandleRetransmission(PublishedLayer& layer, const RtpPacketView& packet, Timestamp received,
                                     Timestamp now) {
  const CodecBinding* codec = codecs_.ByRtxPayloadType(packet.header().payload_type);
  if (codec == nullptr) return context_.drops.Count(DropReason::kUnknownPayloadType);
  if (!layer.ssrc || !layer.codec()) return context_.drops.Count(DropReason::kRtxUnusable);
  std::array<uint8_t, 2048> buffer;
  const size_t size = RestoreFromRtx(packet, *layer.ssrc, codec->payload_type, buffer);
  // Nothing to restore: bandwidth probes come as RTX without an original (hard problem 4).
  if (size == 0) return context_.drops.Count(DropReason::kRtxUnusable);
  const std::optional<RtpPacketView> original = ParseRtp(ByteView(buffer).first(size));
  if (!original) return context_.drops.Count(DropReason::kRtxUnusable);
  HandleMedia(layer, *original, ReadExtensions(*original, extensions_), received, now, true);
}

void Transport::HandleMedia(PublishedLayer& layer, const RtpPacketView& packet,
                            const IncomingExtensions& extensions, Timestamp received, Timestamp now,
                            bool repaired) {
  PublishedTrack& track = layer.track();
  const PayloadType type = packet.header().payload_type;
  const CodecBinding* codec = codecs_.ByPayloadType(type);
  std::optional<RedPacket> red;
  if (codec == nullptr && (codec = codecs_.ByRedPayloadType(type)) != nullptr && !packet.payload().empty()) {
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
  if (!track.started) {
    track.started = true;
    context_.events.Push(TrackStarted{track.id(), codec->codec});
  }
  if (track.muted()) {
    layer.ReceiveMuted(arrival);
    return context_.drops.Count(DropReason::kMuted);
  }
  DropReason reason = DropReason::kCount;
  const SourcePacket* stored = layer.Receive(arrival, remote_clock_, reason);
  if (stored == nullptr) return context_.drops.Count(reason);
  if (stored->payload.empty()) context_.drops.Count(DropReason::kPaddingOnly);
  if (track.kind() == MediaKind::kAudio) {
    track.NoteAudioLevel(*stored, now);
  }
  if (red) RouteRecovered(layer, *red, *stored, now);
  if (!repaired) track.NoteArrival(layer, *stored, now);
  track.Deliver(layer, *stored, now);
}

void Transport::RouteRecovered(PublishedLayer& layer, const RedPacket& red, const SourcePacket& primary,
                               Timestamp now) {
  std::array<const SourcePacket*, kKeptRedBlocks> recovered{};
  const size_t count = layer.Recover(red, primary, recovered);
  for (size_t i = 0; i < count; ++i) layer.track().Deliver(layer, *recovered[i], now);
}

}  // namespace nexus
