#include "testing/emulated_call.h"

#include <algorithm>

#include "engine/rtp/demultiplexer.h"

namespace nexus::testing {
namespace {

EmulatedCallOptions WithCertificate(EmulatedCallOptions options) {
  if (options.shard.certificate == nullptr) options.shard.certificate = DtlsCertificate::Generate();
  options.shard.seed = options.seed;
  return options;
}

}  // namespace

EmulatedCall::EmulatedCall(EmulatedCallOptions options)
    : options_(WithCertificate(std::move(options))), network_(options_.seed) {
  if (options_.on_time) options_.on_time(now_);
  std::vector<uint16_t> all;
  for (size_t i = 0; i < options_.shards; ++i) {
    ShardConfig config = options_.shard;
    config.index = static_cast<uint16_t>(i);
    config.shards = static_cast<uint16_t>(options_.shards);
    config.seed += i;
    shards_.push_back(std::make_unique<Shard>(config));
    servers_.push_back(*SocketAddress::Parse("192.0.2.1", static_cast<uint16_t>(5000 + i)));
    all.push_back(config.index);
    relayed_bytes_.push_back(0);
    Command(CreateRoom{room()}, i);
  }
  for (size_t i = 0; i < options_.shards && all.size() > 1; ++i) Command(SpreadRoom{room(), all}, i);
}

uint32_t EmulatedCall::NewId(size_t shard) {
  do ++next_id_;
  while ((next_id_ - 1) % shards_.size() != shard);
  return next_id_;
}

SocketAddress EmulatedCall::NewAddress() {
  const uint32_t n = ++next_address_;
  return SocketAddress::V4(
      {10, static_cast<uint8_t>(n >> 16), static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)}, 40'000);
}

void EmulatedCall::MoveTo(Member& member, const SocketAddress& address) {
  member.peer->MoveTo(address);
  by_address_[address] = member.peer.get();
}

Member& EmulatedCall::Join(TestPeerOptions options, size_t shard) {
  static const std::shared_ptr<const DtlsCertificate> certificate = DtlsCertificate::Generate();
  const uint32_t id = NewId(shard);
  options.address = NewAddress();
  options.seed = options_.seed * 1'000'003 + id;
  if (options.certificate == nullptr) options.certificate = certificate;
  auto member = std::make_unique<Member>();
  member->peer = std::make_unique<TestPeer>(std::move(options));
  member->transport = TransportId{id};
  member->shard = shard;
  const IceCredentials local{"server" + std::to_string(id), "serverpasswordserverpass" + std::to_string(id)};
  Command(CreateTransport{member->transport, room(), local, member->peer->Settings()}, shard);
  by_address_[member->peer->address()] = member->peer.get();
  member->peer->Connect(Describe(local, shard), now_);
  members.push_back(std::move(member));
  return *members.back();
}

void EmulatedCall::ForgetMembers() {
  by_address_.clear();
  members.clear();
}

void EmulatedCall::Publish(Member& member, MediaKind kind, bool muted, bool announce_ssrc) {
  PublishedStreamOptions options;
  options.kind = kind;
  options.ssrc = Ssrc{++next_ssrc_};
  options.rtx_ssrc = Ssrc{++next_ssrc_};
  TrackSettings settings;
  settings.muted = muted;
  if (announce_ssrc) {
    settings.ssrcs = {options.ssrc};
    settings.rtx_ssrcs = {options.rtx_ssrc};
  }
  Publish(member, options, settings);
}

PublishedStream& EmulatedCall::PublishUnnamed(Member& member, MediaKind kind) {
  PublishedStreamOptions options;
  options.kind = kind;
  options.ssrc = Ssrc{++next_ssrc_};
  options.rtx_ssrc = Ssrc{++next_ssrc_};
  options.with_mid = false;
  TrackSettings settings;
  const std::vector<CodecBinding> codecs = member.peer->Settings().codecs;
  const CodecBinding& codec = codecs[kind == MediaKind::kVideo ? 0 : 1];
  settings.payload_types = {codec.payload_type};
  for (const auto& further : {codec.rtx_payload_type, codec.red_payload_type}) {
    if (further) settings.payload_types.push_back(*further);
  }
  return Publish(member, options, settings);
}

PublishedStream& EmulatedCall::Publish(Member& member, PublishedStreamOptions options,
                                       TrackSettings settings) {
  const uint32_t id = NewId(member.shard);
  const bool video = options.kind == MediaKind::kVideo;
  options.mid = std::to_string(id);
  options.mark = id;
  settings.kind = options.kind;
  settings.number = 1000 + id;
  settings.mid = options.mid;
  csrc_of_mark_[options.mark] = settings.number;
  PublishedStream& stream = member.peer->Publish(options);
  (video ? member.video : member.audio) = &stream;
  (video ? member.video_track : member.audio_track) = TrackId{id};
  Command(AddTrack{TrackId{id}, member.transport, settings}, member.shard);
  return stream;
}

void EmulatedCall::PublishSimulcast(Member& member, const std::vector<std::pair<size_t, size_t>>& encodings,
                                    std::vector<PictureSize> sizes) {
  const uint32_t id = NewId(member.shard);
  TrackSettings settings;
  settings.kind = MediaKind::kVideo;
  settings.number = 1000 + id;
  settings.mid = std::to_string(id);
  settings.sizes = std::move(sizes);
  for (const auto& [packets, payload_size] : encodings) {
    PublishedStreamOptions options;
    options.kind = MediaKind::kVideo;
    options.ssrc = Ssrc{++next_ssrc_};
    options.rtx_ssrc = Ssrc{++next_ssrc_};
    options.mid = settings.mid;
    options.mark = 100'000 + ++next_id_;
    options.payload_size = payload_size;
    options.packets_per_frame = packets;
    settings.ssrcs.push_back(options.ssrc);
    settings.rtx_ssrcs.push_back(options.rtx_ssrc);
    csrc_of_mark_[options.mark] = settings.number;
    member.encodings.push_back(&member.peer->Publish(options));
  }
  member.video_track = TrackId{id};
  Command(AddTrack{member.video_track, member.transport, settings}, member.shard);
}

Member::Slot& EmulatedCall::AddSlot(Member& member, MediaKind kind, int pair, bool rtx) {
  const SlotId id{NewId(member.shard)};
  SlotSettings settings;
  settings.kind = kind;
  settings.pair = pair;
  settings.ssrc = Ssrc{++next_ssrc_};
  if (kind == MediaKind::kVideo && rtx) settings.rtx_ssrc = Ssrc{++next_ssrc_};
  member.slots.push_back({id, &member.peer->Receive(settings.ssrc, settings.rtx_ssrc, kind)});
  Command(nexus::AddSlot{id, member.transport, settings}, member.shard);
  return member.slots.back();
}

void EmulatedCall::Every(Duration interval, std::function<void()> task) {
  tasks_.push_back({now_ + interval, interval, std::move(task)});
}

void EmulatedCall::StartMedia(Member& member, uint8_t audio_level) {
  if (member.video != nullptr) {
    Every(std::chrono::milliseconds(40), [this, &member] {
      if (member.peer->connected())
        member.peer->SendVideoFrame(*member.video, now_, member.video->options.packets_per_frame);
    });
  }
  if (!member.encodings.empty()) {
    Every(std::chrono::milliseconds(40), [this, &member] {
      for (PublishedStream* stream : member.encodings) {
        if (!member.peer->connected()) continue;
        // A keyframe is several times as large; no two frames are the same.
        const double factor = stream->keyframe_wanted ? 4 : 1;
        std::uniform_real_distribution<double> spread(0.7, 1.3);
        const double size =
            static_cast<double>(stream->options.packets_per_frame) * factor * spread(network_.random());
        const size_t whole = static_cast<size_t>(size);
        std::bernoulli_distribution one_more(size - static_cast<double>(whole));
        member.peer->SendVideoFrame(*stream, now_,
                                    std::max<size_t>(1, whole + (one_more(network_.random()) ? 1 : 0)));
      }
    });
  }
  if (member.audio != nullptr) {
    Every(std::chrono::milliseconds(20), [this, &member, audio_level] {
      if (member.peer->connected()) member.peer->SendAudio(*member.audio, now_, audio_level);
    });
  }
  Every(std::chrono::seconds(1), [this, &member] {
    if (!member.peer->connected()) return;
    std::vector<const PublishedStream*> streams = {member.video, member.audio};
    streams.insert(streams.end(), member.encodings.begin(), member.encodings.end());
    for (const PublishedStream* stream : streams) {
      if (stream != nullptr && stream->packets > 0) member.peer->SendSenderReport(*stream, now_);
    }
    member.peer->SendReceiverReports(now_);
  });
}

Timestamp EmulatedCall::NextStep() const {
  Timestamp next = network_.next();
  for (const auto& shard : shards_) next = std::min(next, shard->NextDeadline());
  for (const auto& member : members) next = std::min(next, member->peer->NextDeadline());
  for (const Task& task : tasks_) next = std::min(next, task.at);
  return next;
}

bool EmulatedCall::RunUntil(Timestamp end, const std::function<bool()>& done) {
  Collect();
  while (!done()) {
    // Never backwards, and never stuck: a deadline that is already past is looked at a little later.
    const Timestamp next = std::max(NextStep(), now_ + Duration(100));
    if (next > end) {
      now_ = std::max(now_, end);
      return done();
    }
    now_ = next;
    if (options_.on_time) options_.on_time(now_);
    Step();
  }
  return true;
}

void EmulatedCall::Step() {
  Datagram datagram;
  for (const auto& shard : shards_) {
    if (options_.batches) shard->BeginBatch();
  }
  while (network_.Receive(now_, datagram)) Deliver(datagram);
  EndBatch();
  for (size_t i = 0; i < tasks_.size(); ++i) {
    while (tasks_[i].at <= now_) {
      tasks_[i].at += tasks_[i].interval;
      const std::function<void()> run = tasks_[i].run;  // the list may grow meanwhile
      run();
    }
  }
  for (const auto& member : members) {
    if (member->peer->NextDeadline() <= now_) member->peer->HandleTimeout(now_);
  }
  for (const auto& shard : shards_) shard->HandleTimeout(now_);
  Collect();
}

void EmulatedCall::EndBatch() {
  if (!options_.batches) return;
  if (options_.around_media) options_.around_media(true);
  for (const auto& shard : shards_) shard->EndBatch(now_);
  if (options_.around_media) options_.around_media(false);
}

void EmulatedCall::Deliver(Datagram& datagram) {
  for (size_t i = 0; i < servers_.size(); ++i) {
    if (datagram.to != servers_[i]) continue;
    const Protocol protocol = Demultiplex(datagram.bytes);
    const bool media = protocol == Protocol::kRtp || protocol == Protocol::kRtcp;
    if (media && options_.around_media) options_.around_media(true);
    shards_[i]->HandleDatagram(datagram.bytes, datagram.from, now_);
    if (media && options_.around_media) options_.around_media(false);
    return;
  }
  const auto found = by_address_.find(datagram.to);
  if (found != by_address_.end()) found->second->HandleDatagram(datagram.bytes, now_);
}

void EmulatedCall::Collect() {
  for (const auto& member : members) {
    for (Datagram& datagram : member->peer->TakeDatagrams()) network_.Send(std::move(datagram), now_);
  }
  PassRelays();
  for (size_t i = 0; i < shards_.size(); ++i) CollectFrom(i);
}

void EmulatedCall::PassRelays() {
  for (bool passed = !relays_stopped; passed;) {
    passed = false;
    for (size_t from = 0; from < shards_.size(); ++from) {
      while (const auto batch = shards_[from]->PollRelay()) {
        shards_[batch->to]->HandleRelay(static_cast<uint16_t>(from), batch->bytes, now_);
        relayed_bytes_[from] += batch->bytes.size();
        passed = true;
      }
    }
  }
}

void EmulatedCall::CollectFrom(size_t index) {
  Shard& shard = *shards_[index];
  RunBuilder& batch = shard.transmit();
  batch.Arrange();
  for (const TransmitRun& run : batch.runs()) {
    if (run.count == 0) continue;
    ++runs;
    if (run.count > 1) ++runs_of_several;
    for (uint32_t i = run.first; i != kNoPacket; i = batch.packet(i).next) {
      const TransmitPacket& packet = batch.packet(i);
      ++datagrams_from_server;
      network_.Send({servers_[index], run.destination, {packet.bytes, packet.bytes + packet.size}}, now_);
    }
  }
  batch.Clear();
  while (auto event = shard.PollEvent()) events.push_back(std::move(*event));
  while (read_taps) {
    const auto batch = shard.PollTap();
    if (!batch) break;
    taps[batch->tap].Add(*batch);
  }
}

bool EmulatedCall::RunUntilConnected(Duration at_most) {
  return RunUntil(at_most, [this] {
    return std::all_of(members.begin(), members.end(), [this](const auto& member) {
      const Transport* transport = shards_[member->shard]->FindTransport(member->transport);
      return transport == nullptr || (member->peer->connected() && transport->ready());
    });
  });
}

}  // namespace nexus::testing
