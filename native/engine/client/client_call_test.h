// For tests only: clients, a shard and the network between them, in emulated time.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/client/client.h"
#include "engine/client/jitter_buffer/audio_jitter_buffer.h"
#include "engine/client/jitter_buffer/video_jitter_buffer.h"
#include "engine/dtls/emulated_wall_clock.h"
#include "engine/shard/shard.h"
#include "testing/emulated_network.h"

namespace nexus::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What a client took in of one stream.
struct Taken {
  std::set<int64_t> sequences;
  // What arrived first: nobody asks for what was sent before it, though some of that may come late.
  std::optional<int64_t> first;
  std::vector<int64_t> missing() const {
    std::vector<int64_t> gone;
    if (!first) return gone;
    int64_t next = *first;
    for (auto at = sequences.lower_bound(next); at != sequences.end(); ++at) {
      const int64_t sequence = *at;
      for (; next < sequence; ++next) gone.push_back(next);
      next = sequence + 1;
    }
    return gone;
  }
  uint64_t repaired = 0;
  uint64_t opened = 0;
  uint64_t wrong_payload = 0;
  std::set<uint32_t> sources;
};

struct ClientMember {
  RunBuilder out;
  std::unique_ptr<Client> client;
  SocketAddress address;
  TransportId transport;
  std::vector<ClientEvent> events;
  std::unordered_map<Ssrc, Taken> taken;
  bool silent = false;  // the laptop is shut
  // Plays one stream of each kind when there is a screen and a speaker.
  std::optional<VideoJitterBuffer> screen;
  std::optional<AudioJitterBuffer> speaker;
  std::vector<VideoFrame> shown;
  ReceiveStream* watched = nullptr;

  template <class E>
  std::vector<E> EventsOf() const {
    std::vector<E> found;
    for (const ClientEvent& event : events) {
      if (const auto* wanted = std::get_if<E>(&event)) found.push_back(*wanted);
    }
    return found;
  }
};

inline std::vector<CodecBinding> TestCodecs() {
  CodecBinding vp8;
  vp8.payload_type = PayloadType{96};
  vp8.rtx_payload_type = PayloadType{97};
  vp8.codec = Codec::kVp8;
  vp8.clock_rate = 90'000;
  CodecBinding opus;
  opus.payload_type = PayloadType{111};
  opus.codec = Codec::kOpus;
  opus.clock_rate = 48'000;
  return {vp8, opus};
}

inline RtpExtensionIds TestExtensions() {
  RtpExtensionIds ids;
  ids.Set(RtpExtension::kAudioLevel, 1);
  ids.Set(RtpExtension::kAbsSendTime, 2);
  ids.Set(RtpExtension::kTransportSequenceNumber, 3);
  ids.Set(RtpExtension::kMid, 4);
  ids.Set(RtpExtension::kRid, 5);
  ids.Set(RtpExtension::kRepairedRid, 6);
  return ids;
}

class ClientCall {
 public:
  explicit ClientCall(uint64_t seed = 1) : network(seed), shard_(Config(seed)), seed_(seed) {
    SetEmulatedWallClock(now);
    shard_.HandleCommand(CreateRoom{kRoom}, now);
  }

  static constexpr RoomId kRoom{1};
  Timestamp now = TimestampFromMicros(1'000'000'000);
  EmulatedNetwork network;
  SocketAddress server = *SocketAddress::Parse("192.0.2.1", 5000);
  std::vector<std::unique_ptr<ClientMember>> members;
  std::vector<Event> events;
  Shard& shard() { return shard_; }

  static std::shared_ptr<const DtlsCertificate> Certificate() {
    static const std::shared_ptr<const DtlsCertificate> certificate = DtlsCertificate::Generate();
    return certificate;
  }
  static DtlsFingerprint Fingerprint() { return {"sha-256", Certificate()->fingerprint()}; }

  IceCredentials ServerIce(uint32_t id) const {
    return {"server" + std::to_string(id), "serverpasswordserverpass" + std::to_string(id)};
  }

  // `fingerprint`: what signaling says of the server's certificate.
  ClientMember& Join(ClientConfig config = {}, std::vector<IceRemoteCandidate> candidates = {},
                     const DtlsFingerprint& fingerprint = Fingerprint()) {
    const uint32_t id = ++next_id_;
    auto member = std::make_unique<ClientMember>();
    member->transport = TransportId{id};
    member->address =
        SocketAddress::V4({10, 0, static_cast<uint8_t>(id >> 8), static_cast<uint8_t>(id)}, 40'000);
    config.transport.ice = {"client" + std::to_string(id), "clientpasswordclientpass" + std::to_string(id)};
    config.transport.certificate = Certificate();
    config.transport.seed = seed_ * 1'000 + id;
    config.seed = config.transport.seed;
    if (config.codecs.empty()) config.codecs = TestCodecs();
    config.extensions = TestExtensions();
    TransportSettings settings;
    settings.remote = config.transport.ice;
    settings.fingerprints = {Fingerprint()};
    settings.codecs = config.codecs;
    settings.extensions = config.extensions;
    shard_.HandleCommand(CreateTransport{member->transport, kRoom, ServerIce(id), settings}, now);
    member->client = std::make_unique<Client>(std::move(config), member->out);
    candidates.push_back({server, 0x7E7F00FF});
    member->client->Connect({ServerIce(id), {fingerprint}, candidates}, now);
    by_address_[member->address] = member.get();
    members.push_back(std::move(member));
    return *members.back();
  }

  SendStream& Publish(ClientMember& member, MediaKind kind, TrackId* track = nullptr, uint16_t first = 1) {
    const uint32_t id = ++next_id_;
    SendStreamConfig config;
    config.kind = kind;
    config.codec = kind == MediaKind::kVideo ? Codec::kVp8 : Codec::kOpus;
    config.clock_rate = kind == MediaKind::kVideo ? 90'000 : 48'000;
    config.payload_type = PayloadType{static_cast<uint8_t>(kind == MediaKind::kVideo ? 96 : 111)};
    config.ssrc = Ssrc{0x1000 + id};
    config.mid = std::to_string(id);
    config.first_sequence = first;
    TrackSettings settings;
    settings.kind = kind;
    settings.number = 100 + id;
    settings.mid = config.mid;
    settings.ssrcs = {config.ssrc};
    if (kind == MediaKind::kVideo) {
      config.rtx_payload_type = PayloadType{97};
      config.rtx_ssrc = Ssrc{0x2000 + id};
      settings.rtx_ssrcs = {*config.rtx_ssrc};
    }
    shard_.HandleCommand(AddTrack{TrackId{id}, member.transport, settings}, now);
    if (track != nullptr) *track = TrackId{id};
    return *member.client->AddSendStream(config);
  }

  ReceiveStream& AddSlot(ClientMember& member, MediaKind kind, std::optional<TrackId> track = std::nullopt) {
    const SlotId id{++next_id_};
    SlotSettings settings;
    settings.kind = kind;
    settings.pair = 0;
    settings.ssrc = Ssrc{0x3000 + id.value};
    ReceiveStreamConfig config;
    config.kind = kind;
    config.ssrc = settings.ssrc;
    config.clock_rate = kind == MediaKind::kVideo ? 90'000 : 48'000;
    if (kind == MediaKind::kVideo) {
      settings.rtx_ssrc = Ssrc{0x4000 + id.value};
      config.rtx_ssrc = settings.rtx_ssrc;
    }
    shard_.HandleCommand(nexus::AddSlot{id, member.transport, settings}, now);
    if (track) shard_.HandleCommand(BindSlot{id, *track}, now);
    return *member.client->AddReceiveStream(config);
  }

  // One VP8 frame of three packets, whose payload tells stream and number.
  void SendVideoFrame(SendStream& stream) {
    const bool key = stream.TakeKeyframeRequest();
    picture_id_ = (picture_id_ + 1) & 0x7FFF;
    for (int i = 0; i < 3; ++i) {
      const std::array<uint8_t, 4> descriptor = {static_cast<uint8_t>(i == 0 ? 0x90 : 0x80), 0x80,
                                                 static_cast<uint8_t>(0x80 | picture_id_ >> 8),
                                                 static_cast<uint8_t>(picture_id_)};
      std::vector<uint8_t> payload(900, 0x55);
      payload[0] = static_cast<uint8_t>(i != 0 || key ? 0x10 : 0x11);
      if (i == 0)
        std::copy_n(std::array<uint8_t, 7>{0x9D, 1, 0x2A, 64, 0, 64, 0}.begin(), 7, payload.begin() + 3);
      SendPacket packet;
      packet.timestamp = static_cast<uint32_t>(now.time_since_epoch().count() * 9 / 100);
      packet.marker = i == 2;
      packet.prefix = descriptor;
      packet.payload = payload;
      stream.Send(packet, now);
    }
  }
  void SendAudio(SendStream& stream) {
    std::vector<uint8_t> payload(80, 0x66);
    payload[0] = 0x78;  // RFC 6716 section 3.1: 20 ms CELT fullband
    SendPacket packet;
    packet.timestamp = static_cast<uint32_t>(now.time_since_epoch().count() * 48 / 1'000);
    packet.payload = payload;
    packet.audio_level = AudioLevel{20, true};
    stream.Send(packet, now);
  }

  void Every(Duration interval, std::function<void()> task) {
    tasks_.push_back({now + interval, interval, task});
  }

  bool RunUntil(Duration at_most, const std::function<bool()>& done) {
    const Timestamp end = now + at_most;
    Collect();
    while (!done()) {
      const Timestamp next = std::max(NextStep(), now + Duration(100));
      if (next > end) {
        now = end;
        return done();
      }
      now = next;
      SetEmulatedWallClock(now);
      Step();
    }
    return true;
  }
  void RunFor(Duration duration) {
    RunUntil(duration, [] { return false; });
  }
  bool RunUntilConnected() {
    return RunUntil(seconds(20), [this] {
      return std::all_of(members.begin(), members.end(), [](const auto& member) {
        return member->client->state() == ClientState::kConnected;
      });
    });
  }

  template <class E>
  std::vector<E> EventsOf() const {
    std::vector<E> found;
    for (const Event& event : events) {
      if (const auto* wanted = std::get_if<E>(&event)) found.push_back(*wanted);
    }
    return found;
  }

  void Step() {
    Datagram datagram;
    while (network.Receive(now, datagram)) Deliver(datagram);
    for (size_t i = 0; i < tasks_.size(); ++i) {
      while (tasks_[i].at <= now) {
        tasks_[i].at += tasks_[i].interval;
        tasks_[i].run();
      }
    }
    for (const auto& member : members) {
      if (!member->silent && member->client->NextDeadline() <= now) member->client->HandleTimeout(now);
      Show(*member);
    }
    shard_.HandleTimeout(now);
    Collect();
  }
  void Collect() {
    for (const auto& member : members) {
      Drain(member->out, [&](const SocketAddress& to, ByteView bytes) {
        if (!member->silent) network.Send({member->address, to, {bytes.begin(), bytes.end()}}, now);
      });
      while (auto event = member->client->PollEvent()) member->events.push_back(*event);
    }
    Drain(shard_.transmit(), [&](const SocketAddress& to, ByteView bytes) {
      network.Send({server, to, {bytes.begin(), bytes.end()}}, now);
    });
    while (auto event = shard_.PollEvent()) events.push_back(std::move(*event));
  }

 private:
  struct Task {
    Timestamp at;
    Duration interval;
    std::function<void()> run;
  };
  static ShardConfig Config(uint64_t seed) {
    ShardConfig config;
    config.certificate = Certificate();
    config.seed = seed;
    return config;
  }
  template <class Send>
  static void Drain(RunBuilder& batch, Send&& send) {
    for (const TransmitRun& run : batch.runs()) {
      for (uint32_t i = run.first; i != kNoPacket; i = batch.packet(i).next) {
        send(run.destination, ByteView(batch.packet(i).bytes, batch.packet(i).size));
      }
    }
    batch.Clear();
  }
  void Show(ClientMember& member) {
    if (!member.screen) return;
    while (auto frame = member.screen->Poll(now)) {
      if (frame->frame.keyframe && member.watched != nullptr) member.watched->OnKeyframe(now);
      member.shown.push_back(std::move(*frame));
    }
    if (member.screen->TakeKeyframeRequest(now) && member.watched != nullptr)
      member.watched->RequestKeyframe();
  }
  Timestamp NextStep() const {
    Timestamp next = std::min(network.next(), shard_.NextDeadline());
    for (const auto& member : members) {
      if (!member->silent) next = std::min(next, member->client->NextDeadline());
      if (member->screen) next = std::min(next, member->screen->next_deadline());
    }
    for (const Task& task : tasks_) next = std::min(next, task.at);
    return next;
  }
  void Deliver(Datagram& datagram) {
    if (datagram.to == server) return shard_.HandleDatagram(datagram.bytes, datagram.from, now);
    const auto found = by_address_.find(datagram.to);
    if (found == by_address_.end() || found->second->silent) return;
    ClientMember& member = *found->second;
    const auto received = member.client->HandleDatagram(datagram.bytes, datagram.from, now, now);
    if (!received) return;
    Taken& taken = member.taken[received->stream->config().ssrc];
    taken.sequences.insert(received->media.sequence_number);
    if (!taken.first) taken.first = received->media.sequence_number;
    taken.repaired += received->media.repaired ? 1 : 0;
    const bool video = received->stream->config().kind == MediaKind::kVideo;
    if (video && member.screen) {
      member.screen->Insert(received->media, now);
      member.watched = received->stream;
    }
    if (!video && member.speaker) member.speaker->Insert(received->media, now);
    taken.sources.insert(received->media.source);
    if (!received->media.opened || received->media.payload.empty()) return;
    ++taken.opened;
    const uint8_t body = received->stream->config().kind == MediaKind::kVideo ? 0x55 : 0x66;
    if (received->media.payload.back() != body) ++taken.wrong_payload;
  }

  Shard shard_;
  uint64_t seed_;
  std::unordered_map<SocketAddress, ClientMember*> by_address_;
  std::vector<Task> tasks_;
  uint32_t next_id_ = 0;
  uint16_t picture_id_ = 30'000;
};

}  // namespace nexus::testing
