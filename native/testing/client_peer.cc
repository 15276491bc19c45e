#include "testing/client_peer.h"

#include <algorithm>
#include <utility>

#include "testing/vp8_payload.h"

namespace nexus::testing {
namespace {

constexpr uint8_t kVideoByte = 0x55;
constexpr uint8_t kAudioByte = 0x66;

ClientConfig ConfigOf(const ClientPeerOptions& options) {
  ClientConfig config;
  config.open_one_in = options.open_one_in;
  config.bandwidth = options.bandwidth;
  return config;
}

}  // namespace

std::vector<int64_t> TakenMedia::Missing() const {
  std::vector<int64_t> missing;
  if (!first) return missing;
  int64_t next = *first;
  for (auto at = sequences.lower_bound(next); at != sequences.end(); ++at) {
    for (; next < *at; ++next) missing.push_back(next);
    next = *at + 1;
  }
  return missing;
}

ClientPeer::ClientPeer(ClientPeerOptions options) : EmulatedPeer(options, ConfigOf(options)) {}

SendStream& ClientPeer::Publish(const PublishedStreamOptions& options) {
  const bool video = options.kind == MediaKind::kVideo;
  SendStreamConfig config;
  config.kind = options.kind;
  config.codec = video ? Codec::kVp8 : Codec::kOpus;
  config.clock_rate = video ? 90'000 : 48'000;
  config.payload_type = video ? PayloadTypeAt(0) : opus_payload_type();
  config.ssrc = options.ssrc;
  config.mid = options.mid;
  config.rid = options.rid;
  config.first_sequence = options.first_sequence;
  if (video) {
    config.rtx_payload_type = PayloadTypeAt(1);
    config.rtx_ssrc = options.rtx_ssrc;
  }
  return *client().AddSendStream(config);
}

ReceiveStream& ClientPeer::Receive(Ssrc ssrc, std::optional<Ssrc> rtx_ssrc, MediaKind kind) {
  ReceiveStreamConfig config;
  config.kind = kind;
  config.clock_rate = kind == MediaKind::kVideo ? 90'000 : 48'000;
  config.ssrc = ssrc;
  config.rtx_ssrc = rtx_ssrc;
  return *client().AddReceiveStream(config);
}

void ClientPeer::HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp now) {
  if (vanished()) return;
  const std::optional<Received> received = GiveToClient(datagram, from, now);
  TakeEvents();
  if (!received) return;
  Record(*received);
  if (received->stream->config().kind == MediaKind::kAudio) {
    if (speaker_) speaker_->Insert(received->media, now);
  } else if (screen_) {
    screen_->Insert(received->media, now);
    watched_ = received->stream;
    Show(now);
  }
}

void ClientPeer::Record(const Received& received) {
  const ReceivedMedia& media = received.media;
  TakenMedia& taken = taken_[received.stream->config().ssrc];
  taken.sequences.insert(media.sequence_number);
  if (!taken.first) taken.first = media.sequence_number;
  taken.repaired += media.repaired ? 1 : 0;
  taken.sources.insert(media.source);
  taken.opened += media.opened ? 1 : 0;
  if (!media.opened || media.payload.empty()) return;  // padding
  const uint8_t byte = received.stream->config().kind == MediaKind::kVideo ? kVideoByte : kAudioByte;
  if (media.payload.back() != byte) ++taken.wrong_payload;
}

void ClientPeer::HandleTimeout(Timestamp now) {
  EmulatedPeer::HandleTimeout(now);
  Show(now);
  TakeEvents();
}

Timestamp ClientPeer::NextDeadline() const {
  const Timestamp next = EmulatedPeer::NextDeadline();
  return screen_ ? std::min(next, screen_->next_deadline()) : next;
}

void ClientPeer::SendVideoFrame(SendStream& stream, Timestamp now) {
  constexpr int kPackets = 3;
  const bool key = stream.TakeKeyframeRequest();
  picture_id_ = (picture_id_ + 1) & 0x7FFF;
  for (int i = 0; i < kPackets; ++i) {
    const std::vector<uint8_t> descriptor =
        MakeVp8Descriptor({.first_of_frame = i == 0, .picture_id = picture_id_, .layer = {}});
    std::vector<uint8_t> payload;
    if (i == 0) AppendVp8FrameStart(payload, key, {64, 64});
    payload.resize(900, kVideoByte);
    SendPacket packet;
    packet.timestamp = static_cast<uint32_t>(now.time_since_epoch().count() * 9 / 100);
    packet.marker = i + 1 == kPackets;
    packet.prefix = descriptor;
    packet.payload = payload;
    stream.Send(packet, now);
  }
}

void ClientPeer::SendAudio(SendStream& stream, Timestamp now, uint8_t level) {
  std::vector<uint8_t> payload(80, kAudioByte);
  payload[0] = 0x78;  // RFC 6716 section 3.1: 20 ms CELT fullband
  SendPacket packet;
  packet.timestamp = static_cast<uint32_t>(now.time_since_epoch().count() * 48 / 1'000);
  packet.payload = payload;
  packet.audio_level = AudioLevel{level, true};
  stream.Send(packet, now);
}

void ClientPeer::Play() {
  screen_.emplace(VideoJitterBufferConfig{});
  speaker_.emplace();
}

void ClientPeer::Show(Timestamp now) {
  if (!screen_ || watched_ == nullptr) return;
  while (auto frame = screen_->Poll(now)) {
    if (frame->frame.keyframe) watched_->OnKeyframe(now);
    shown_.push_back(std::move(*frame));
  }
  if (screen_->TakeKeyframeRequest(now)) watched_->RequestKeyframe();
}

void ClientPeer::TakeEvents() {
  while (auto event = client().PollEvent()) events_.push_back(*event);
}

}  // namespace nexus::testing
