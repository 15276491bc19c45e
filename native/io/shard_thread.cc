#include "io/shard_thread.h"

#include <pthread.h>
#include <sys/epoll.h>

#include <array>
#include <variant>

namespace nexus {
namespace {

constexpr size_t kMaxCommands = 65'536;
constexpr uint64_t kCommandTag = UINT64_MAX;
constexpr uint64_t kRelayTag = UINT64_MAX - 2;
constexpr uint64_t kTcpTag = UINT64_MAX - 1;
constexpr Duration kTcpSweep = std::chrono::seconds(1);
// Output is sent once it exceeds this size, because more would no longer fit the CPU cache.
constexpr size_t kFlushBytes = 4u << 20;
constexpr int kBatchesPerTick = 4;
constexpr int kRestPerWork = 8;
constexpr Duration kShortestRest{400};
constexpr int kLongestWaitMs = 1'000;

}  // namespace

ShardThread::ShardThread(ShardConfig config, ShardSockets sockets, EventRing& events, TapRing& taps,
                         RelayMesh& relays, size_t index)
    : shard_(std::move(config)),
      sockets_(std::move(sockets.udp)),
      tcp_(std::move(sockets.tcp)),
      waits_writable_(sockets_.size(), false),
      events_(events),
      taps_(taps),
      relays_(relays),
      index_(static_cast<uint16_t>(index)),
      commands_(kMaxCommands),
      rest_(sockets.rest),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  for (const UdpSocket& socket : sockets_) addresses_.push_back(socket.local());
  if (tcp_ != nullptr) {
    addresses_.insert(addresses_.end(), tcp_->addresses().begin(), tcp_->addresses().end());
    Watch(tcp_->fd(), EPOLLIN, kTcpTag);
  }
  Watch(commands_.fd(), EPOLLIN, kCommandTag);
  Watch(relays_[index]->fd(), EPOLLIN, kRelayTag);
  for (size_t i = 0; i < sockets_.size(); ++i) Watch(sockets_[i].fd(), EPOLLIN, i);
  thread_ = std::thread([this] { Run(); });
  const std::string name = "nexus-shard-" + std::to_string(index);
  pthread_setname_np(thread_.native_handle(), name.c_str());
}

ShardThread::~ShardThread() {
  Stop();
  close(epoll_);
}

void ShardThread::Stop() {
  if (!thread_.joinable()) return;
  stop_.store(true);
  commands_.Wake();
  thread_.join();
}

void ShardThread::Watch(int fd, uint32_t events, uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0) epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

Timestamp ShardThread::Now() {
  now_ = std::max(now_, MonotonicNow());
  return now_;
}

// After a busy tick, sleep in proportion to the time worked, so that the next read returns a larger burst,
// which leaves in longer runs. A shard with little work hardly sleeps, so small rooms are answered at once.
void ShardThread::Rest() {
  const Timestamp now = Now();
  const Duration rest = std::min(rest_, kRestPerWork * (now - woke_));
  if (rest < kShortestRest) return;
  const timespec pause{0, static_cast<long>(rest.count()) * 1'000};
  nanosleep(&pause, nullptr);
}

int ShardThread::WaitMillis(Timestamp now) const {
  const Timestamp next = shard_.NextDeadline();
  if (next <= now) return 0;
  if (next - now > std::chrono::milliseconds(kLongestWaitMs)) return kLongestWaitMs;
  return static_cast<int>((next - now + Duration(999)) / Duration(1'000));
}

void ShardThread::Run() {
  std::array<epoll_event, 16> ready;
  while (!stop_.load()) {
    Rest();
    const int count = epoll_wait(epoll_, ready.data(), ready.size(), WaitMillis(Now()));
    woke_ = Now();
    clock_.Measure();
    for (int i = 0; i < count; ++i) {
      const uint64_t tag = ready[static_cast<size_t>(i)].data.u64;
      if (tag == kCommandTag) {
        RunCommands();
        continue;
      }
      if (tag == kRelayTag) {
        TakeRelays();
        continue;
      }
      if (tag == kTcpTag) {
        ServeTcp();
        continue;
      }
      UdpSocket& socket = sockets_[tag];
      if ((ready[static_cast<size_t>(i)].events & EPOLLOUT) != 0) socket.Flush();
      if ((ready[static_cast<size_t>(i)].events & EPOLLIN) != 0) ReadSocket(socket);
    }
    shard_.HandleTimeout(Now());
    SweepTcp();
    SendAll();
    PassEvents();
    PassTaps();
    PassRelays();
  }
  RunCommands();
  shard_.CloseAll(Now());
  SendAll();
  PassEvents();
  PassTaps();
}

void ShardThread::ReadSocket(UdpSocket& socket) {
  shard_.BeginBatch();
  ReadBatches(socket);
  ForwardCollected();
  shard_.EndBatch(now_);
}

void ShardThread::ForwardCollected() {
  while (shard_.ForwardSome(now_)) SendAll();
}

void ShardThread::ReadBatches(UdpSocket& socket) {
  for (int batch = 0; batch < kBatchesPerTick; ++batch) {
    const Timestamp now = Now();
    const bool more =
        socket.Receive(clock_, now, [&](MutableByteView bytes, const SocketAddress& from, Timestamp at) {
          shard_.HandleDatagram(bytes, from, at, now);
          if (shard_.BatchNearlyFull()) ForwardCollected();
          if (shard_.transmit().bytes() >= kFlushBytes) SendAll();
        });
    if (!more) return;
  }
}

void ShardThread::ServeTcp() {
  const Timestamp now = Now();
  tcp_->Run(
      now,
      [&](MutableByteView bytes, const SocketAddress& from) {
        shard_.HandleDatagram(bytes, from, now);
        if (shard_.transmit().bytes() >= kFlushBytes) SendAll();
      },
      [&](const SocketAddress& from) { shard_.HandleConnectionLost(from, now); });
}

void ShardThread::SweepTcp() {
  if (tcp_ == nullptr || now_ < next_tcp_sweep_) return;
  next_tcp_sweep_ = now_ + kTcpSweep;
  tcp_->Sweep(
      now_, [&](const SocketAddress& from) { return shard_.Knows(from); },
      [&](const SocketAddress& from) { shard_.HandleConnectionLost(from, now_); });
}

void ShardThread::RunCommands() {
  commands_.Take(taken_);
  for (const Command& command : taken_) {
    const size_t before = shard_.counts().rooms;
    shard_.HandleCommand(command, Now());
    const size_t after = shard_.counts().rooms;
    if (after < before) rooms.fetch_sub(before - after);
  }
}

void ShardThread::SendAll() {
  RunBuilder& batch = shard_.transmit();
  batch.Arrange();
  for (UdpSocket& socket : sockets_) socket.Send(batch);
  if (tcp_ != nullptr) tcp_->Send(batch);
  batch.Clear();
  for (size_t i = 0; i < sockets_.size(); ++i) {
    const bool waits = sockets_[i].has_backlog();
    if (waits == waits_writable_[i]) continue;
    waits_writable_[i] = waits;
    Watch(sockets_[i].fd(), waits ? EPOLLIN | EPOLLOUT : EPOLLIN, i);
  }
}

void ShardThread::PassEvents() {
  while (auto event = shard_.PollEvent()) {
    if (auto* report = std::get_if<StatsReady>(&*event)) CompleteStats(report->engine);
    if (const auto* changed = std::get_if<TransportChanged>(&*event)) {
      const bool over =
          changed->state == TransportState::kFailed || changed->state == TransportState::kClosed;
      if (over) transports.fetch_sub(1);
    } else if (const auto* rejected = std::get_if<CommandRejected>(&*event)) {
      if (rejected->command == "create_transport") transports.fetch_sub(1);
    }
    reported_.push_back(std::move(*event));
  }
  events_.Push(reported_);
}

// A relay message about a room may depend on commands that were posted before it, so commands run first.
void ShardThread::TakeRelays() {
  relays_[index_]->Take(relayed_);
  RunCommands();
  shard_.BeginBatch();
  for (const RelayQueue::Batch& batch : relayed_) {
    shard_.HandleRelay(batch.from, batch.bytes, Now());
    if (shard_.BatchNearlyFull()) ForwardCollected();
    if (shard_.transmit().bytes() >= kFlushBytes) SendAll();
  }
  ForwardCollected();
  shard_.EndBatch(now_);
}

void ShardThread::PassRelays() {
  if (relays_.size() == 1) return;
  while (auto batch = shard_.PollRelay()) relays_[batch->to]->Push(index_, std::move(batch->bytes));
  for (size_t i = 0; i < relays_.size(); ++i) {
    if (i != index_) shard_.SetRelayCongested(static_cast<uint16_t>(i), relays_[i]->full());
  }
}

void ShardThread::PassTaps() {
  while (auto batch = shard_.PollTap()) recorded_.push_back(*std::move(batch));
  taps_.Push(recorded_, now_);
}

void ShardThread::CompleteStats(EngineStats& report) const {
  for (const UdpSocket& socket : sockets_) {
    const UdpSocketCounters& counters = socket.counters();
    report.datagrams_in += counters.datagrams_in;
    report.bytes_in += counters.bytes_in;
    report.datagrams_out += counters.datagrams_out;
    report.bytes_out += counters.bytes_out;
    report.gso_runs += counters.gso_runs;
    report.gso_segments += counters.gso_segments;
    report.gso_fallbacks += counters.gso_fallbacks;
    report.send_backlog_drops += counters.backlog_drops;
    report.send_errors += counters.send_errors;
    report.receive_truncated += counters.truncated;
  }
  if (tcp_ != nullptr) {
    const TcpServerCounters& counters = tcp_->counters();
    report.datagrams_in += counters.packets_in;
    report.bytes_in += counters.bytes_in;
    report.datagrams_out += counters.packets_out;
    report.bytes_out += counters.bytes_out;
    report.send_backlog_drops += counters.backlog_drops;
    report.tcp_accepted += counters.accepted;
    report.tcp_refused += counters.refused + counters.strangers + counters.malformed;
    report.tcp_connections += tcp_->connections();
  }
  report.cpu_seconds = static_cast<double>(ReadClockMicros(CLOCK_THREAD_CPUTIME_ID)) / 1e6;
}

}  // namespace nexus
