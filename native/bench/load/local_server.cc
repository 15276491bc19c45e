#include "bench/load/local_server.h"

#include <poll.h>
#include <sched.h>

namespace nexus::load {

std::unique_ptr<LocalServer> LocalServer::Open(const LocalServerOptions& options, int& error) {
  EngineConfig config;
  config.shards = 1;
  config.bind_addresses = {*SocketAddress::Parse("127.0.0.1", 0)};
  config.shard.certificate = DtlsCertificate::Generate();
  config.shard.audio_loudest = 1'000;  // off: every SFU in the comparison forwards all audio
  config.socket.gso = options.gso;
  config.shard.gcm = options.gcm;
  config.shard.pad_runs = options.pad_runs;
  config.rest = options.rest;
  config.tcp = false;
  cpu_set_t before;
  sched_getaffinity(0, sizeof before, &before);
  PinToCore(options.core);
  auto engine = Engine::Open(config, error);
  sched_setaffinity(0, sizeof before, &before);
  if (engine == nullptr) return nullptr;
  auto server = std::unique_ptr<LocalServer>(new LocalServer(std::move(engine)));
  return server->engine_->CreateRoom(server->room_) == CallError::kNone ? std::move(server) : nullptr;
}

bool LocalServer::Publish(const SceneOptions& options, size_t index, LoadParticipant& participant) {
  if (PublishesAudio(options, index)) {
    PublishSpec spec;
    spec.stream.kind = MediaKind::kAudio;
    spec.stream.codec = Codec::kOpus;
    spec.stream.clock_rate = 48'000;
    spec.stream.payload_type = PayloadType{111};
    spec.stream.ssrc = NewSsrc();
    spec.stream.mid = "0";
    TrackSettings track;
    track.kind = MediaKind::kAudio;
    track.number = static_cast<uint32_t>(2 * index + 1);
    track.mid = "0";
    track.ssrcs = {spec.stream.ssrc};
    TrackId id;
    if (engine_->AddTrack(participant.transport.transport, track, id) != CallError::kNone) return false;
    participant.peer->Publish(spec);
  }
  if (!PublishesVideo(options, index)) return true;
  TrackSettings track;
  track.kind = MediaKind::kVideo;
  track.number = static_cast<uint32_t>(2 * index + 2);
  track.mid = "1";
  std::vector<PublishSpec> specs;
  for (const EncodingSpec& encoding : kSimulcast) {
    if (!options.simulcast && encoding.rid != "f") continue;
    PublishSpec spec;
    spec.stream.kind = MediaKind::kVideo;
    spec.stream.codec = options.codec;
    spec.stream.payload_type = PayloadType{static_cast<uint8_t>(options.codec == Codec::kH264 ? 102 : 96)};
    spec.stream.rtx_payload_type = PayloadType{static_cast<uint8_t>(spec.stream.payload_type.value + 1)};
    spec.stream.ssrc = NewSsrc();
    spec.stream.rtx_ssrc = NewSsrc();
    spec.stream.mid = "1";
    spec.bitrate_bps = encoding.bitrate_bps;
    if (options.simulcast) {
      spec.stream.rid = encoding.rid;
      track.rids.emplace_back(encoding.rid);
    } else {
      track.ssrcs = {spec.stream.ssrc};
      track.rtx_ssrcs = {*spec.stream.rtx_ssrc};
    }
    specs.push_back(std::move(spec));
  }
  TrackId id;
  if (engine_->AddTrack(participant.transport.transport, track, id) != CallError::kNone) return false;
  participant.video = id;
  for (const PublishSpec& spec : specs) participant.peer->Publish(spec);
  return true;
}

bool LocalServer::Watch(const SceneOptions& options, size_t index, LoadParticipant& participant) {
  const auto add = [&](MediaKind kind, std::optional<TrackId> shown) {
    SlotDescription slot;
    if (engine_->AddSlot(participant.transport.transport, kind, -1, slot) != CallError::kNone) return false;
    ReceiveStreamConfig receive;
    receive.kind = kind;
    receive.ssrc = slot.ssrc;
    receive.rtx_ssrc = slot.rtx_ssrc;
    receive.clock_rate = kind == MediaKind::kVideo ? 90'000 : 48'000;
    participant.peer->Receive(receive, MonotonicNow());
    return !shown || engine_->Send(BindSlot{slot.slot, *shown}) == CallError::kNone;
  };
  size_t audio_slots = 0;
  size_t video_slots = 0;
  for (size_t other = 0; other < participants_.size(); ++other) {
    if (other == index) continue;
    if (PublishesAudio(options, other) && audio_slots++ < options.max_watched &&
        !add(MediaKind::kAudio, std::nullopt))
      return false;
    if (participants_[other].video && video_slots++ < options.max_watched &&
        !add(MediaKind::kVideo, participants_[other].video))
      return false;
  }
  return true;
}

bool LocalServer::Join(const SceneOptions& options, LoadGenerator& generator) {
  participants_.resize(ParticipantsOf(options));
  for (LoadParticipant& participant : participants_) {
    participant.peer = &generator.AddPeer(SceneCodecs(), SceneExtensions());
    TransportSettings settings;
    settings.remote = LoadGenerator::CredentialsOf(participant.peer->index());
    settings.fingerprints = {{"sha-256", generator.fingerprint()}};
    settings.codecs = SceneCodecs();
    settings.extensions = SceneExtensions();
    if (engine_->CreateTransport(room_, settings, participant.transport) != CallError::kNone) return false;
  }
  for (size_t i = 0; i < participants_.size(); ++i) {
    if (!Publish(options, i, participants_[i])) return false;
  }
  for (size_t i = 0; i < participants_.size(); ++i) {
    if (!Watch(options, i, participants_[i])) return false;
  }
  for (LoadParticipant& participant : participants_) {
    ClientRemote remote{participant.transport.local, {{"sha-256", engine_->fingerprint()}}, {}};
    for (const IceCandidate& candidate : participant.transport.candidates) {
      remote.candidates.push_back({candidate.address, candidate.priority});
    }
    generator.Connect(*participant.peer, remote);
    // Handshakes are spread out: a thousand at once would be a different scene.
    generator.RunUntil(MonotonicNow() + Duration(2'000));
    engine_->PollEvents(10'000);
  }
  return true;
}

std::optional<EngineStats> LocalServer::Report() {
  engine_->PollEvents(1'000'000);
  uint32_t request = 0;
  if (engine_->RequestStats(std::nullopt, request, false) != CallError::kNone) return std::nullopt;
  for (int tries = 0; tries < 100; ++tries) {
    pollfd waiting{engine_->event_fd(), POLLIN, 0};
    poll(&waiting, 1, 100);
    for (Event& event : engine_->PollEvents(1'000'000)) {
      if (const auto* report = std::get_if<StatsReady>(&event); report && report->request == request)
        return report->engine;
    }
  }
  return std::nullopt;
}

}  // namespace nexus::load
