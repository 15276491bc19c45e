#include "bench/load/load_peer.h"

#include <algorithm>
#include <random>
#include <utility>

namespace nexus::load {
namespace {

constexpr Duration kAudioInterval = std::chrono::milliseconds(20);
constexpr size_t kMaxPayload = 1'150;

// Fills a bitstream that the codec's packetiser and every SFU's keyframe detector understand. The rest is
// filler.
void FillFrame(std::vector<uint8_t>& frame, Codec codec, bool keyframe, size_t size) {
  frame.assign(size, 0xA5);
  ByteWriter writer(frame);
  switch (codec) {
    case Codec::kVp8:  // RFC 6386 section 9.1: P bit, then the start code and 1280x720
      writer.U24(keyframe ? 0x100000u : 0x110000u);
      if (keyframe) writer.U24(0x9D012A), writer.U16(0x0005), writer.U16(0xD002);
      break;
    case Codec::kH264:
      writer.U32(1);
      if (keyframe) {
        writer.U8(0x67), writer.U24(0x42E01F), writer.U24(0x8C8D40), writer.U32(1);
        writer.U8(0x68), writer.U24(0xCE3C80), writer.U32(1);
      }
      writer.U8(keyframe ? 0x65 : 0x41);
      break;
    case Codec::kVp9:
    case Codec::kAv1:
    case Codec::kOpus:
      break;
  }
}

// The first frame time after `now`. Cameras and microphones are not synchronised, so each peer has a phase
// within the interval. It depends on the index alone: how many peers of a room coincide decides how much a
// server can send at once, which must be equal for all servers and runs.
Timestamp FirstAfter(Timestamp now, Duration interval, uint32_t index) {
  const Duration place(
      static_cast<int64_t>(std::mt19937_64(index)() % static_cast<uint64_t>(interval.count())));
  return now + interval - (now.time_since_epoch() - place) % interval;
}

}  // namespace

LoadPeer::LoadPeer(uint32_t index, ClientConfig config, RunBuilder& out, LoadTotals& totals)
    : index_(index), random_(index + 1), client_(std::move(config), out), totals_(totals) {}

void LoadPeer::Publish(const PublishSpec& spec) {
  SendStream* stream = client_.AddSendStream(spec.stream);
  if (stream == nullptr) return;
  const uint64_t seed = spec.stream.ssrc.value;
  const Encoding encoding{stream, FrameSizes(std::max<uint64_t>(spec.bitrate_bps, 1),
                                             std::max(spec.frames_per_second, 1u), seed)};
  const auto known = std::find_if(sources_.begin(), sources_.end(), [&](const Source& source) {
    return source.spec.stream.mid == spec.stream.mid && source.spec.stream.kind == spec.stream.kind;
  });
  const bool is_new = known == sources_.end();
  Source& source = is_new ? sources_.emplace_back() : *known;
  if (is_new) source.spec = spec;
  source.encodings.push_back(encoding);
  source.packetizers.emplace_back(PacketizerConfig{.codec = spec.stream.codec,
                                                   .max_payload = kMaxPayload,
                                                   .first_picture_id = static_cast<uint16_t>(seed * 7)});
}

void LoadPeer::Receive(const ReceiveStreamConfig& config, Timestamp now) {
  if (ReceiveStream* stream = client_.AddReceiveStream(config)) watched_.try_emplace(stream, *stream, now);
}

void LoadPeer::Connect(const ClientRemote& remote, Timestamp now) {
  steps.connecting = now;
  client_.Connect(remote, now);
}

void LoadPeer::NoteConnected(Timestamp now) {
  if (steps.connected == Timestamp{} && client_.state() == ClientState::kConnected) steps.connected = now;
}

void LoadPeer::HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp received,
                              Timestamp now) {
  // Only RTP and RTCP are lost (RFC 7983): lost handshakes would be a different scene.
  const bool media_or_feedback = !datagram.empty() && datagram[0] >= 128;
  if (loss_ > 0 && media_or_feedback && std::uniform_real_distribution<double>(0, 1)(random_) < loss_) {
    ++lost_on_purpose_;
    return;
  }
  const auto media = client_.HandleDatagram(datagram, from, received, now);
  NoteConnected(received);
  if (!media) return;
  ++totals_.media_in;
  totals_.media_bytes_in += datagram.size();
  const auto watched = watched_.find(media->stream);
  if (watched == watched_.end()) return;
  const bool newcomer = steps.joining >= totals_.began;
  watched->second.OnPacket(*media, client_, steps.connected, newcomer, received, totals_);
}

void LoadPeer::HandleTimeout(Timestamp now) {
  if (client_.NextDeadline() <= now) client_.HandleTimeout(now);
  while (client_.PollEvent()) {
  }
  NoteConnected(now);
  if (client_.state() != ClientState::kConnected) return;
  for (Source& source : sources_) {
    const bool video = source.spec.stream.kind == MediaKind::kVideo;
    const Duration interval = video ? Duration(1'000'000 / source.spec.frames_per_second) : kAudioInterval;
    if (source.next == Timestamp{}) {
      source.first = FirstAfter(now, interval, index_);
      source.next = source.first;
    }
    while (source.next <= now) {
      if (video) {
        SendFrame(source, now);
      } else {
        SendAudio(source, now);
      }
      source.next += interval;
      // After a stall, leave out what a microphone or camera would have dropped, and keep to the source's
      // clock.
      const Duration behind = now - source.next;
      if (behind > std::chrono::milliseconds(200)) source.next += behind / interval * interval;
    }
  }
}

void LoadPeer::RequestKeyframes() {
  for (Source& source : sources_) {
    for (Encoding& encoding : source.encodings) encoding.stream->OnPictureLoss();
  }
}

void LoadPeer::SendFrame(Source& source, Timestamp now) {
  // As libvpx does for VP8, a keyframe request for one encoding makes a keyframe of all of them.
  bool keyframe = false;
  for (const Encoding& encoding : source.encodings) keyframe |= encoding.stream->TakeKeyframeRequest();
  totals_.keyframes_made += keyframe ? 1 : 0;
  // Each encoding has its own frame size, at the same instant.
  for (size_t i = 0; i < source.encodings.size(); ++i) {
    Encoding& encoding = source.encodings[i];
    if (!encoding.stream->active()) continue;
    FrameToSend frame;
    FillFrame(frame_, encoding.stream->config().codec, keyframe, encoding.sizes.Next(keyframe));
    frame.bitstream = frame_;
    frame.keyframe = keyframe;
    SendPacket packet;
    packet.timestamp = source.DueTimestamp(90);
    for (const PacketPayload& part : source.packetizers[i].Cut(frame)) {
      // The payload points into `frame_`, so the stamp is written there.
      const size_t at = static_cast<size_t>(part.rest.data() - frame_.data());
      SendStamp::Write(MutableByteView(frame_).subspan(at, part.rest.size()), now);
      packet.prefix = part.prefix;
      packet.payload = part.rest;
      packet.marker = part.marker;
      encoding.stream->Send(packet, now);
    }
  }
}

void LoadPeer::SendAudio(Source& source, Timestamp now) {
  frame_.assign(source.spec.audio_bytes, 0x5A);
  frame_[0] = 0x78;  // RFC 6716 section 3.1: 20 ms CELT fullband
  SendStamp::Write(frame_, now);
  SendPacket packet;
  packet.timestamp = source.DueTimestamp(48);
  packet.payload = frame_;
  packet.audio_level = AudioLevel{static_cast<uint8_t>(20 + index_ % 20), true};
  source.encodings[0].stream->Send(packet, now);
}

Timestamp LoadPeer::NextDeadline() const {
  Timestamp next = client_.NextDeadline();
  if (client_.state() != ClientState::kConnected) return next;
  for (const Source& source : sources_) next = std::min(next, source.next);
  return next;
}

}  // namespace nexus::load
