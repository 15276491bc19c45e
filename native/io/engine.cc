#include "io/engine.h"

#include <algorithm>
#include <cerrno>

#include "io/clock.h"
#include "io/random.h"

namespace nexus {
namespace {

constexpr size_t kMaxPendingReports = 64;
constexpr int kPortAttempts = 20;

bool IsAnyV6(const SocketAddress& address) {
  const ByteView ip = address.ip();
  return address.is_v6() && std::all_of(ip.begin(), ip.end(), [](uint8_t byte) { return byte == 0; });
}

SocketAddress AtPort(const SocketAddress& address, uint16_t port) {
  return SocketAddress::Parse(address.IpString(), port).value_or(address);
}

// A bijection of 32-bit numbers (the finalizer of MurmurHash3): counting through it never repeats an SSRC.
uint32_t Scatter(uint32_t value) {
  value ^= value >> 16;
  value *= 0x85EBCA6Bu;
  value ^= value >> 13;
  value *= 0xC2B2AE35u;
  value ^= value >> 16;
  return value;
}

void Add(EngineStats& sum, const EngineStats& part) {
  sum.datagrams_in += part.datagrams_in;
  sum.bytes_in += part.bytes_in;
  sum.datagrams_out += part.datagrams_out;
  sum.bytes_out += part.bytes_out;
  sum.gso_runs += part.gso_runs;
  sum.gso_segments += part.gso_segments;
  sum.gso_fallbacks += part.gso_fallbacks;
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    const auto reason = static_cast<DropReason>(i);
    sum.drops.Count(reason, part.drops[reason]);
  }
  sum.send_backlog_drops += part.send_backlog_drops;
  sum.send_errors += part.send_errors;
  sum.receive_truncated += part.receive_truncated;
  sum.tcp_accepted += part.tcp_accepted;
  sum.tcp_refused += part.tcp_refused;
  sum.tcp_connections += part.tcp_connections;
  sum.cpu_seconds += part.cpu_seconds;
  sum.transports += part.transports;
}

template <class Item>
void Append(std::vector<Item>& sum, std::vector<Item>& part) {
  sum.insert(sum.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
}

}  // namespace

std::unique_ptr<Engine> Engine::Open(EngineConfig config, int& error) {
  if (config.shard.certificate == nullptr) config.shard.certificate = DtlsCertificate::Generate();
  if (config.shard.certificate == nullptr) {
    error = EIO;
    return nullptr;
  }
  std::unique_ptr<Engine> engine(new Engine(std::move(config)));
  return engine->OpenShards(error) ? std::move(engine) : nullptr;
}

Engine::Engine(EngineConfig config)
    : config_(std::move(config)),
      events_(config_.max_events),
      unix_offset_us_(ReadClockMicros(CLOCK_REALTIME) - ReadClockMicros(CLOCK_MONOTONIC)),
      interfaces_(InterfaceAddresses()),
      ssrc_key_(static_cast<uint32_t>(RandomU64())) {}

Engine::~Engine() { Close(); }

bool Engine::OpenShards(int& error) {
  taps_.LimitRetained(config_.tap_memory_bytes);
  std::vector<ShardSockets> bound;
  for (size_t i = 0; i < config_.shards; ++i) {
    std::optional<ShardSockets> sockets = BindShard(i, error);
    if (!sockets) return false;
    bound.push_back(std::move(*sockets));
  }
  for (size_t i = 0; i < bound.size(); ++i) relays_.push_back(std::make_unique<RelayQueue>());
  for (size_t i = 0; i < bound.size(); ++i) {
    ShardConfig config = config_.shard;
    config.max_transports = config_.max_transports;
    config.seed = RandomU64();
    config.index = static_cast<uint16_t>(i);
    config.shards = static_cast<uint16_t>(bound.size());
    bound[i].rest = config_.rest;
    shards_.push_back(
        std::make_unique<ShardThread>(std::move(config), std::move(bound[i]), events_, taps_, relays_, i));
  }
  return true;
}

// All addresses of a shard share one port, over UDP and TCP. With port 0 the system chooses a port for the
// first address; if another address cannot bind the same port, all are tried again with a new one.
std::optional<ShardSockets> Engine::BindShard(size_t index, int& error) {
  const bool any = config_.port == 0;
  for (int attempt = 0; attempt < (any ? kPortAttempts : 1); ++attempt) {
    ShardSockets sockets;
    const uint16_t port = any ? 0 : static_cast<uint16_t>(config_.port + index);
    if (BindUdp(port, sockets, error) && ListenTcp(sockets, error)) return sockets;
    if (error != EADDRINUSE) return std::nullopt;
  }
  return std::nullopt;
}

bool Engine::BindUdp(uint16_t port, ShardSockets& sockets, int& error) const {
  error = EADDRNOTAVAIL;
  for (const SocketAddress& address : config_.bind_addresses) {
    int reason = 0;
    std::optional<UdpSocket> socket = UdpSocket::Bind(AtPort(address, port), config_.socket, reason);
    if (socket) {
      port = socket->local().port();
      sockets.udp.push_back(std::move(*socket));
      continue;
    }
    // If the machine has no IPv6, its wildcard address is skipped without an error.
    if (IsAnyV6(address) && (reason == EAFNOSUPPORT || reason == EADDRNOTAVAIL)) continue;
    error = reason;
    return false;
  }
  return !sockets.udp.empty();
}

bool Engine::ListenTcp(ShardSockets& sockets, int& error) const {
  if (!config_.tcp) return true;
  std::vector<SocketAddress> addresses;
  for (const UdpSocket& socket : sockets.udp) addresses.push_back(socket.local());
  sockets.tcp = TcpServer::Listen(addresses, config_.tcp_server, error);
  return sockets.tcp != nullptr;
}

std::vector<uint16_t> Engine::ports() const {
  std::vector<uint16_t> ports;
  for (const auto& shard : shards_) ports.push_back(shard->port());
  return ports;
}

void Engine::Close() {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
  }
  for (const auto& shard : shards_) shard->Stop();
}

uint32_t Engine::NewId(IdSource& source, size_t shard) {
  return source.issued++ * static_cast<uint32_t>(config_.shards) + static_cast<uint32_t>(shard) + 1;
}

ShardThread* Engine::ShardOf(const IdSource& source, uint32_t id) {
  if (id == 0 || (id - 1) / config_.shards >= source.issued) return nullptr;
  return shards_[ShardIndex(id)].get();
}

CallError Engine::Post(const IdSource& source, uint32_t id, Command command) {
  const std::lock_guard lock(mutex_);
  if (closed_) return CallError::kClosed;
  ShardThread* shard = ShardOf(source, id);
  if (shard == nullptr) return CallError::kUnknownId;
  return shard->Post(std::move(command)) ? CallError::kNone : CallError::kQueueFull;
}

size_t Engine::LeastLoaded() const {
  const auto load = [](const auto& shard) {
    return std::pair(shard->transports.load(), shard->rooms.load());
  };
  const auto least = std::min_element(shards_.begin(), shards_.end(),
                                      [&](const auto& a, const auto& b) { return load(a) < load(b); });
  return static_cast<size_t>(least - shards_.begin());
}

CallError Engine::RestartIce(TransportId transport, IceCredentials remote,
                             TransportDescription& description) {
  const size_t index = transport.value == 0 ? 0 : ShardIndex(transport.value);
  description.transport = transport;
  description.local = NewCredentials(index);
  description.candidates = Candidates(index);
  return Post(transports_, transport.value,
              nexus::RestartIce{transport, description.local, std::move(remote)});
}

CallError Engine::CloseTransport(TransportId transport) {
  return Post(transports_, transport.value, nexus::CloseTransport{transport});
}

CallError Engine::AddTrack(TransportId transport, TrackSettings settings, TrackId& track) {
  const std::lock_guard lock(mutex_);
  if (closed_) return CallError::kClosed;
  ShardThread* shard = ShardOf(transports_, transport.value);
  if (shard == nullptr) return CallError::kUnknownId;
  track = TrackId{NewId(tracks_, ShardIndex(transport.value))};
  const bool posted = shard->Post(nexus::AddTrack{track, transport, std::move(settings)});
  return posted ? CallError::kNone : CallError::kQueueFull;
}

CallError Engine::AddSlot(TransportId transport, MediaKind kind, int pair, SlotDescription& description,
                          bool rtx) {
  const std::lock_guard lock(mutex_);
  if (closed_) return CallError::kClosed;
  ShardThread* shard = ShardOf(transports_, transport.value);
  if (shard == nullptr) return CallError::kUnknownId;
  description.slot = SlotId{NewId(slots_, ShardIndex(transport.value))};
  description.ssrc = NewSsrc();
  description.rtx_ssrc = std::nullopt;
  if (kind == MediaKind::kVideo && rtx) description.rtx_ssrc = NewSsrc();
  const SlotSettings settings{kind, pair, description.ssrc, description.rtx_ssrc};
  const bool posted = shard->Post(nexus::AddSlot{description.slot, transport, settings});
  return posted ? CallError::kNone : CallError::kQueueFull;
}

CallError Engine::RequestStats(std::optional<RoomId> room, uint32_t& request, bool details) {
  const std::lock_guard lock(mutex_);
  if (closed_) return CallError::kClosed;
  if (room && ShardOf(rooms_, room->value) == nullptr) return CallError::kUnknownId;
  request = ++reports_;
  // Parts are lost if no one polls events, so the number of unfinished reports is bounded.
  while (pending_reports_.size() >= kMaxPendingReports) pending_reports_.erase(pending_reports_.begin());
  pending_reports_[request] = PendingReport{shards_.size(), {}};
  for (const auto& shard : shards_) {
    if (!shard->Post(nexus::RequestStats{request, room, details})) return CallError::kQueueFull;
  }
  return CallError::kNone;
}

CallError Engine::Update(nexus::UpdateTransport command) {
  const uint32_t id = command.transport.value;
  return Post(transports_, id, std::move(command));
}
CallError Engine::Send(nexus::RemoveTrack command) { return Post(tracks_, command.track.value, command); }
CallError Engine::Send(nexus::MuteTrack command) { return Post(tracks_, command.track.value, command); }
CallError Engine::Send(nexus::ResizeTrack command) {
  const uint32_t id = command.track.value;
  return Post(tracks_, id, std::move(command));
}
CallError Engine::Send(nexus::RequestKeyframe command) { return Post(tracks_, command.track.value, command); }
CallError Engine::Send(nexus::RemoveSlot command) { return Post(slots_, command.slot.value, command); }
CallError Engine::Send(nexus::BindSlot command) { return Post(slots_, command.slot.value, command); }
CallError Engine::Send(nexus::UnbindSlot command) { return Post(slots_, command.slot.value, command); }
CallError Engine::Send(nexus::SetSubscribed command) {
  return Post(transports_, command.transport.value, command);
}

CallError Engine::Send(nexus::SetSlotView command) { return Post(slots_, command.slot.value, command); }
CallError Engine::Send(nexus::ConfigureData command) {
  const uint32_t id = command.transport.value;
  return Post(transports_, id, std::move(command));
}

// The first two characters of the ufrag name the shard, so that a STUN check can be routed to its shard.
IceCredentials Engine::NewCredentials(size_t shard) const {
  std::string ufrag;
  ufrag += kIceAlphabet[shard / 64 % 64];
  ufrag += kIceAlphabet[shard % 64];
  return {ufrag + RandomIceText(10), RandomIceText(24)};
}

Ssrc Engine::NewSsrc() {
  uint32_t ssrc = 0;
  while (ssrc == 0) ssrc = Scatter(++ssrc_counter_ + ssrc_key_);
  return Ssrc{ssrc};
}

std::vector<IceCandidate> Engine::Candidates(size_t shard) const {
  return MakeCandidates(shards_[shard]->addresses(), config_.announced_addresses, interfaces_);
}

std::vector<Event> Engine::PollEvents(size_t limit) {
  std::vector<Event> events = events_.Take(limit);
  const std::lock_guard lock(mutex_);
  for (const Event& event : events) NoteEnd(event);
  std::erase_if(events, [this](Event& event) { return !MergeReport(event); });
  return events;
}

bool Engine::MergeReport(Event& event) {
  auto* part = std::get_if<StatsReady>(&event);
  if (part == nullptr) return true;
  const auto found = pending_reports_.find(part->request);
  if (found == pending_reports_.end()) return false;
  PendingReport& pending = found->second;
  Add(pending.merged.engine, part->engine);
  Append(pending.merged.transports, part->transports);
  Append(pending.merged.tracks, part->tracks);
  Append(pending.merged.slots, part->slots);
  if (--pending.shards_left > 0) return false;
  pending.merged.request = part->request;
  pending.merged.engine.events_dropped =
      events_.dropped() + pending.merged.engine.drops[DropReason::kEventOverflow];
  *part = std::move(pending.merged);
  pending_reports_.erase(found);
  return true;
}

}  // namespace nexus
