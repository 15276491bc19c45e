#include "engine/client/client.h"

#include <algorithm>
#include <random>
#include <utility>

namespace nexus {

Client::Client(ClientConfig config, RunBuilder& out)
    : config_(std::move(config)),
      transport_(config_.transport, out),
      twcc_(config_.twcc),
      bandwidth_(config_.bandwidth != nullptr ? config_.bandwidth : std::make_shared<ReportedBandwidth>()),
      send_path_(*bandwidth_) {
  std::mt19937_64 random(config_.seed);
  local_ssrc_ = Ssrc{static_cast<uint32_t>(random())};
  // Phases of sampling and reports differ from client to client.
  sampled_ = static_cast<uint32_t>(random());
}

void Client::Connect(const ClientRemote& remote, Timestamp now) {
  transport_.Start(remote, now);
  NoteState(now);
}

std::optional<Received> Client::HandleDatagram(MutableByteView datagram, const SocketAddress& from,
                                               Timestamp received, Timestamp now) {
  const nexus::Incoming incoming = transport_.HandleDatagram(datagram, from, now);
  if (const auto* rtp = std::get_if<IncomingRtp>(&incoming)) return HandleRtp(*rtp, received);
  if (const auto* rtcp = std::get_if<IncomingRtcp>(&incoming)) {
    HandleRtcp(rtcp->packet, now);
  } else {
    NoteState(now);
  }
  return std::nullopt;
}

bool Client::SamplesThisOne() { return config_.open_one_in <= 1 || ++sampled_ % config_.open_one_in == 0; }

std::optional<Received> Client::HandleRtp(const IncomingRtp& incoming, Timestamp received) {
  const auto known = by_ssrc_.find(incoming.header.ssrc);
  const bool rtx = known != by_ssrc_.end() && known->second.rtx;
  const bool sampled = rtx || SamplesThisOne();
  const bool opens = sampled || (known != by_ssrc_.end() && known->second.stream->opened_whole);
  std::optional<RtpPacketView> packet;
  if (opens) {
    packet = transport_.OpenRtp(incoming);
    if (!packet) return ++counters_.rtp_rejected, std::nullopt;
  } else {
    // Only the header is in clear, so payload and padding are not read.
    packet = RtpPacketView(incoming.header, incoming.datagram, 0);
  }
  // Every number is reported, also of unknown streams: the sender measures the path, not the streams.
  if (const auto value =
          packet->FindExtension(config_.extensions.id(RtpExtension::kTransportSequenceNumber))) {
    if (const auto number = ParseTransportSequenceNumber(*value)) twcc_.OnPacket(*number, received);
  }
  if (known == by_ssrc_.end()) return ++counters_.unknown_ssrcs, std::nullopt;
  last_media_ssrc_ = incoming.header.ssrc;
  ReceiveStream& stream = *known->second.stream;
  const uint32_t source = stream.source();
  const auto media = rtx ? stream.OnRtx(*packet, MediaPayloadType(incoming.header.payload_type),
                                        config_.extensions, received)
                         : stream.OnPacket(*packet, opens, config_.extensions, received);
  if (stream.source() != source) Push(SourceChanged{stream.config().ssrc, stream.source()});
  if (!media) return std::nullopt;
  return Received{&stream, *media, sampled};
}

std::optional<Codec> Client::CodecOf(PayloadType payload_type) const {
  for (const CodecBinding& codec : config_.codecs) {
    if (codec.payload_type == payload_type) return codec.codec;
  }
  return std::nullopt;
}

PayloadType Client::MediaPayloadType(PayloadType rtx) const {
  for (const CodecBinding& codec : config_.codecs) {
    if (codec.rtx_payload_type == rtx) return codec.payload_type;
  }
  return rtx;
}

void Client::HandleTimeout(Timestamp now) {
  transport_.HandleTimeout(now);
  NoteState(now);
  if (!transport_.ready()) return;
  if (now >= FeedbackDeadline()) SendFeedback(now);
  if (now >= next_report_) SendReports(now);
  if (now >= bandwidth_->next_deadline()) bandwidth_->HandleTimeout(now);
}

Timestamp Client::FeedbackDeadline() const {
  Timestamp next = twcc_.next_deadline();
  for (const auto& stream : receive_streams_) {
    if (stream->config().kind != MediaKind::kVideo) continue;
    next = std::min(next, stream->nacks().next_deadline(rtt()));
    next = std::min(next, stream->keyframes().next_deadline());
  }
  return next;
}

Timestamp Client::NextDeadline() const {
  const Timestamp next = transport_.next_deadline();
  if (!transport_.ready()) return next;
  return std::min({next, FeedbackDeadline(), next_report_, bandwidth_->next_deadline()});
}

void Client::NoteState(Timestamp now) {
  if (transport_.state() == reported_state_) return;
  reported_state_ = transport_.state();
  Push(ClientStateChanged{reported_state_, transport_.end()});
  if (reported_state_ != ClientState::kConnected) return;
  bandwidth_->Start(now);
  // RFC 3550 section 6.2: not all at once.
  next_report_ =
      now + config_.rtcp_interval / 2 + Duration(sampled_ % 1'000) * (config_.rtcp_interval.count() / 2'000);
}

void Client::Push(ClientEvent event) {
  if (events_.size() >= config_.max_events) {
    ++counters_.events_dropped;
    return;
  }
  events_.push_back(event);
}

std::optional<ClientEvent> Client::PollEvent() {
  if (events_.empty()) return std::nullopt;
  const ClientEvent event = events_.front();
  events_.pop_front();
  return event;
}

void Client::Close() {
  if (transport_.ready()) {
    std::array<uint8_t, kRtcpMtu> buffer;
    RtcpCompoundWriter writer(buffer);
    for (const SendStream& stream : send_streams_) writer.AddBye(stream.config().ssrc);
    if (!writer.empty()) transport_.SendRtcp(writer.bytes());
  }
  transport_.Close();
  reported_state_ = transport_.state();
}

SendStream* Client::AddSendStream(SendStreamConfig config) {
  if (send_streams_.size() >= config_.max_send_streams || FindSendStream(config.ssrc) != nullptr)
    return nullptr;
  return &send_streams_.emplace_back(std::move(config), config_.extensions, transport_, send_path_);
}

SendStream* Client::FindSendStream(Ssrc ssrc) {
  for (SendStream& stream : send_streams_) {
    if (stream.config().ssrc == ssrc) return &stream;
  }
  return nullptr;
}

ReceiveStream* Client::AddReceiveStream(const ReceiveStreamConfig& config) {
  if (receive_streams_.size() >= config_.max_receive_streams || by_ssrc_.contains(config.ssrc))
    return nullptr;
  receive_streams_.push_back(std::make_unique<ReceiveStream>(config));
  ReceiveStream* stream = receive_streams_.back().get();
  by_ssrc_[config.ssrc] = {stream, false};
  if (config.rtx_ssrc) by_ssrc_[*config.rtx_ssrc] = {stream, true};
  return stream;
}

ReceiveStream* Client::FindReceiveStream(Ssrc ssrc) {
  const auto found = by_ssrc_.find(ssrc);
  return found == by_ssrc_.end() || found->second.rtx ? nullptr : found->second.stream;
}

void Client::RemoveReceiveStream(Ssrc ssrc) {
  ReceiveStream* stream = FindReceiveStream(ssrc);
  if (stream == nullptr) return;
  if (stream->config().rtx_ssrc) by_ssrc_.erase(*stream->config().rtx_ssrc);
  by_ssrc_.erase(ssrc);
  std::erase_if(receive_streams_, [&](const auto& candidate) { return candidate.get() == stream; });
}

}  // namespace nexus
