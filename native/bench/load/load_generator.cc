#include "bench/load/load_generator.h"

#include <cstdio>
#include <ctime>
#include <utility>

#include "bench/load/join_report.h"

namespace nexus::load {
namespace {

constexpr int kBatchesPerTurn = 8;
constexpr size_t kFlushBytes = 2u << 20;
// The socket is polled at this interval instead of waking the thread for each datagram. A wake-up would be an
// interrupt to another core at the server's cost, and their number would depend on how busy the generator is;
// receivers on a real network cost the server nothing. Latency is measured with the kernel's timestamps.
constexpr Duration kReadEvery{500};

double ThreadCpuSeconds() { return static_cast<double>(ReadClockMicros(CLOCK_THREAD_CPUTIME_ID)) / 1e6; }

}  // namespace

LoadGenerator::LoadGenerator(LoadSocket socket, const LoadOptions& options)
    : socket_(std::move(socket)), options_(options), certificate_(DtlsCertificate::Generate()) {}

IceCredentials LoadGenerator::CredentialsOf(uint32_t peer) {
  return {"load" + std::to_string(peer), "loadpasswordloadpassword" + std::to_string(peer)};
}

Timestamp LoadGenerator::Now() {
  now_ = std::max(now_, MonotonicNow());
  return now_;
}

LoadPeer& LoadGenerator::AddPeer(std::vector<CodecBinding> codecs, const RtpExtensionIds& extensions) {
  const auto index = static_cast<uint32_t>(peers_.size());
  ClientConfig config;
  config.transport.ice = CredentialsOf(index);
  config.transport.certificate = certificate_;
  config.transport.seed = index + 1;
  config.codecs = std::move(codecs);
  config.extensions = extensions;
  config.cname = "load" + std::to_string(index);
  config.open_one_in = options_.open_one_in;
  config.seed = index + 1;
  config.twcc.max_recorded = 1'000;
  peers_.push_back(std::make_unique<LoadPeer>(index, std::move(config), out_, totals_));
  peers_.back()->steps.joining = joining_.value_or(Now());
  return *peers_.back();
}

void LoadGenerator::Connect(LoadPeer& peer, const ClientRemote& remote) {
  peer.Connect(remote, Now());
  NoteOwners(peer.index());
  Mark(peer);
}

void LoadGenerator::Touch(LoadPeer& peer) { Mark(peer); }

void LoadGenerator::Mark(LoadPeer& peer) {
  if (peer.dirty) return;
  peer.dirty = true;
  dirty_.push_back(&peer);
}

void LoadGenerator::Reschedule() {
  for (LoadPeer* peer : dirty_) {
    peer->dirty = false;
    deadlines_.Set(peer->deadline, peer->NextDeadline());
  }
  dirty_.clear();
}

// Runs that were added to the batch while `peer` was handled belong to that peer.
void LoadGenerator::NoteOwners(uint32_t peer) { owners_.resize(out_.runs().size(), peer); }

void LoadGenerator::Flush() {
  if (out_.empty()) return;
  socket_.Send(out_, owners_);
  out_.Clear();
  owners_.clear();
}

void LoadGenerator::ReadSocket() {
  for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
    const Timestamp now = Now();
    const bool more = socket_.Receive(
        clock_, now,
        [&](uint32_t index, MutableByteView bytes, const SocketAddress& from, Timestamp received) {
          if (index >= peers_.size()) return;
          LoadPeer& peer = *peers_[index];
          peer.HandleDatagram(bytes, from, received, now);
          NoteOwners(index);
          Mark(peer);
        });
    if (out_.bytes() > kFlushBytes) Flush();
    if (!more) return;
  }
}

void LoadGenerator::RunDue(Timestamp now) {
  while (const auto* due = deadlines_.PopDue(now)) {
    LoadPeer& peer = *due->owner();
    peer.HandleTimeout(now);
    NoteOwners(peer.index());
    Mark(peer);
    if (out_.bytes() > kFlushBytes) Flush();
  }
}

void LoadGenerator::RunUntil(Timestamp end, const std::function<bool()>& done) {
  while (Now() < end && !done()) {
    Reschedule();
    Flush();
    const Timestamp next = std::min(deadlines_.next(), end);
    const Duration wait = std::clamp(next - Now(), Duration(0), kReadEvery);
    const timespec timeout{0, static_cast<long>(wait.count()) * 1'000};
    if (wait.count() > 0) nanosleep(&timeout, nullptr);
    clock_.Measure();
    ReadSocket();
    Reschedule();
    RunDue(Now());
  }
  Reschedule();
  Flush();
}

size_t LoadGenerator::connected() const {
  return static_cast<size_t>(std::count_if(peers_.begin(), peers_.end(), [](const auto& peer) {
    return peer->client().state() == ClientState::kConnected;
  }));
}

size_t LoadGenerator::ended() const {
  return static_cast<size_t>(std::count_if(peers_.begin(), peers_.end(), [](const auto& peer) {
    return peer->client().state() == ClientState::kFailed || peer->client().state() == ClientState::kClosed;
  }));
}

LoadGenerator::Baseline LoadGenerator::Sum() const {
  Baseline sum;
  sum.began = now_;
  sum.cpu_seconds = ThreadCpuSeconds();
  sum.socket = socket_.counters();
  for (const auto& peer : peers_) {
    sum.lost_on_purpose += peer->lost_on_purpose();
    sum.nacks += peer->client().counters().nacks_sent;
    sum.plis += peer->client().counters().plis_sent;
    for (const auto& [stream, watched] : peer->watched()) {
      sum.pictures += watched.pictures().pictures;
      sum.freezes += watched.pictures().freezes;
    }
    for (const auto& stream : peer->client().receive_streams()) {
      const ReceiverStats& stats = stream->stats();
      sum.expected += stats.packets() + static_cast<uint64_t>(std::max<int64_t>(stats.cumulative_lost(), 0));
      sum.lost += std::max<int64_t>(stats.cumulative_lost(), 0);
      sum.repaired += stats.repaired();
    }
  }
  return sum;
}

void LoadGenerator::BeginMeasuring() {
  totals_.Begin(Now());
  baseline_ = Sum();
  packets_before_.clear();
  for (const auto& peer : peers_) {
    for (const auto& stream : peer->client().receive_streams())
      packets_before_[stream.get()] = stream->stats().packets();
  }
}

LoadGenerator::Silence LoadGenerator::CountSilent() const {
  Silence count;
  for (const auto& peer : peers_) {
    if (peer->client().state() != ClientState::kConnected) continue;
    for (const auto& stream : peer->client().receive_streams()) {
      const auto before = packets_before_.find(stream.get());
      ++count.streams;
      count.silent += stream->stats().packets() == (before == packets_before_.end() ? 0 : before->second);
    }
  }
  return count;
}

size_t LoadGenerator::CountProfile(SrtpProfile profile) const {
  return static_cast<size_t>(std::count_if(peers_.begin(), peers_.end(), [&](const auto& peer) {
    return peer->client().transport().srtp_profile() == profile;
  }));
}

double LoadGenerator::cpu_share() const {
  const double wall = static_cast<double>((now_ - baseline_.began).count()) / 1e6;
  return wall <= 0 ? 0 : (ThreadCpuSeconds() - baseline_.cpu_seconds) / wall;
}

std::string LoadGenerator::Report() const {
  const Baseline sum = Sum();
  const double wall = static_cast<double>((now_ - baseline_.began).count()) / 1e6;
  const auto expected = static_cast<double>(sum.expected - baseline_.expected);
  const double lost = static_cast<double>(sum.lost - baseline_.lost);
  const double repaired = static_cast<double>(sum.repaired - baseline_.repaired);
  double jitter_ms = 0;
  size_t streams = 0;
  for (const auto& peer : peers_) {
    for (const auto& stream : peer->client().receive_streams()) {
      if (stream->stats().packets() == 0) continue;
      jitter_ms += stream->stats().jitter_ms();
      ++streams;
    }
  }
  const Silence silence = CountSilent();
  char text[1'536];
  std::snprintf(
      text, sizeof text,
      "\"seconds\": %.3f, \"peers\": %zu, \"connected\": %zu, \"media_packets_in\": %llu, "
      "\"media_bytes_in\": %llu, "
      "\"datagrams_out\": %llu, \"datagrams_in\": %llu, \"datagrams_per_receive\": %.2f, "
      "\"latency_samples\": %llu, "
      "\"latency_p50_ms\": %.2f, \"latency_p99_ms\": %.2f, \"loss\": %.6f, \"loss_after_repair\": %.6f, "
      "\"jitter_ms\": %.2f, \"pictures\": %llu, \"freezes\": %llu, \"nacks\": %llu, \"plis\": %llu, "
      "\"lost_on_purpose\": %llu, \"generator_cpu_share\": %.3f, \"generator_receive_overflow\": %llu, "
      "\"generator_send_errors\": %llu, \"receive_streams\": %zu, \"silent_streams\": %zu, "
      "\"srtp_aead_aes_128_gcm\": %zu, \"srtp_aes_128_cm_hmac_sha1_80\": %zu",
      wall, peers_.size(), connected(), static_cast<unsigned long long>(totals_.media_in),
      static_cast<unsigned long long>(totals_.media_bytes_in),
      static_cast<unsigned long long>(sum.socket.datagrams_out - baseline_.socket.datagrams_out),
      static_cast<unsigned long long>(sum.socket.datagrams_in - baseline_.socket.datagrams_in),
      static_cast<double>(sum.socket.datagrams_in - baseline_.socket.datagrams_in) /
          std::max<double>(1, static_cast<double>(sum.socket.messages_in - baseline_.socket.messages_in)),
      static_cast<unsigned long long>(totals_.latency.total()), totals_.latency.QuantileMs(0.5),
      totals_.latency.QuantileMs(0.99), expected > 0 ? lost / expected : 0,
      expected > 0 ? std::max(0.0, lost - repaired) / expected : 0,
      streams > 0 ? jitter_ms / static_cast<double>(streams) : 0,
      static_cast<unsigned long long>(sum.pictures - baseline_.pictures),
      static_cast<unsigned long long>(sum.freezes - baseline_.freezes),
      static_cast<unsigned long long>(sum.nacks - baseline_.nacks),
      static_cast<unsigned long long>(sum.plis - baseline_.plis),
      static_cast<unsigned long long>(sum.lost_on_purpose - baseline_.lost_on_purpose), cpu_share(),
      static_cast<unsigned long long>(sum.socket.receive_overflow - baseline_.socket.receive_overflow),
      static_cast<unsigned long long>(sum.socket.send_errors - baseline_.socket.send_errors), silence.streams,
      silence.silent, CountProfile(SrtpProfile::kAeadAes128Gcm),
      CountProfile(SrtpProfile::kAes128CmHmacSha1_80));
  return text + (", " + ReportJoins(peers_, totals_, now_));
}

void LoadGenerator::CloseAll() {
  for (const auto& peer : peers_) {
    peer->client().Close();
    NoteOwners(peer->index());
    if (out_.bytes() > kFlushBytes) Flush();
  }
  Flush();
}

}  // namespace nexus::load
