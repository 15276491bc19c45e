#include "testing/emulated_room.h"

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

EmulatedRoom::EmulatedRoom(EmulatedCallOptions options)
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

uint32_t EmulatedRoom::NewId(size_t shard) {
  do ++next_id_;
  while ((next_id_ - 1) % shards_.size() != shard);
  return next_id_;
}

SocketAddress EmulatedRoom::NewAddress() {
  const uint32_t n = ++next_address_;
  return SocketAddress::V4(
      {10, static_cast<uint8_t>(n >> 16), static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)}, 40'000);
}

IceCredentials EmulatedRoom::ServerIce(TransportId transport) {
  const std::string id = std::to_string(transport.value);
  return {"server" + id, "serverpasswordserverpass" + id};
}

void EmulatedRoom::Attach(EmulatedPeer& peer, TransportId transport, size_t shard) {
  peers_.push_back({&peer, transport, shard});
  Route(peer.address(), peer);
}

void EmulatedRoom::DetachAll() {
  by_address_.clear();
  peers_.clear();
}

std::vector<TransportState> EmulatedRoom::StatesOf(TransportId transport) const {
  std::vector<TransportState> states;
  for (const TransportChanged& change : EventsOf<TransportChanged>()) {
    if (change.transport == transport) states.push_back(change.state);
  }
  return states;
}

std::optional<TransportChanged> EmulatedRoom::LastChangeOf(TransportId transport) const {
  std::optional<TransportChanged> last;
  for (TransportChanged& change : EventsOf<TransportChanged>()) {
    if (change.transport == transport) last = std::move(change);
  }
  return last;
}

void EmulatedRoom::Every(Duration interval, std::function<void()> task) {
  tasks_.push_back({now_ + interval, interval, std::move(task)});
}

Timestamp EmulatedRoom::NextStep() const {
  Timestamp next = network_.next();
  for (const auto& shard : shards_) next = std::min(next, shard->NextDeadline());
  for (const Attached& attached : peers_) next = std::min(next, attached.peer->NextDeadline());
  for (const Task& task : tasks_) next = std::min(next, task.at);
  return next;
}

bool EmulatedRoom::RunUntil(Timestamp end, const std::function<bool()>& done) {
  Collect();
  while (!done()) {
    // Time moves by 100 us at least: a deadline that is already past is looked at a little later.
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

void EmulatedRoom::Step() {
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
  for (const Attached& attached : peers_) {
    if (attached.peer->NextDeadline() <= now_) attached.peer->HandleTimeout(now_);
  }
  for (const auto& shard : shards_) shard->HandleTimeout(now_);
  Collect();
}

void EmulatedRoom::EndBatch() {
  if (!options_.batches) return;
  if (options_.around_media) options_.around_media(true);
  for (const auto& shard : shards_) shard->EndBatch(now_);
  if (options_.around_media) options_.around_media(false);
}

void EmulatedRoom::Deliver(Datagram& datagram) {
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
  if (found != by_address_.end()) found->second->HandleDatagram(datagram.bytes, datagram.from, now_);
}

void EmulatedRoom::Collect() {
  for (const Attached& attached : peers_) {
    for (Datagram& datagram : attached.peer->TakeDatagrams()) network_.Send(std::move(datagram), now_);
  }
  PassRelays();
  for (size_t i = 0; i < shards_.size(); ++i) CollectFrom(i);
}

void EmulatedRoom::PassRelays() {
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

void EmulatedRoom::CollectFrom(size_t index) {
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

bool EmulatedRoom::RunUntilConnected(Duration at_most) {
  return RunUntil(at_most, [this] {
    return std::ranges::all_of(peers_, [this](const Attached& attached) {
      const Transport* transport = shards_[attached.shard]->FindTransport(attached.transport);
      return transport == nullptr || (attached.peer->connected() && transport->ready());
    });
  });
}

}  // namespace nexus::testing
