// The limit: the cost of a bare loop of receive, unprotect, N x (rewrite + seal) and GSO send on this
// machine, without rooms, timers, feedback or pacing. Whatever an SFU takes above it is overhead of its own.
//
//   nexus_limit [subscribers=200] [run=6] [payload=1100] [audio_per_run=1.67] [audio_payload=80] [gro=0]
//               [rounds=7] [bursts=60] [pause_us=0] [gcm=openssl] [loop_core=0] [other_core=1]
//
// The loop waits for the receiving end, outside the measured time: a packet that a full socket drops costs
// half of one that arrives, so dropped packets would falsify the limit. `lost` must be 0.
//
// Each step is also measured alone; the loop should be within 20 % of the steps' sum. The results are minima
// over the rounds, in nanoseconds of the loop thread's CPU time per packet sent. Prints JSON.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <thread>

#include "bench/limit/limit_packets.h"
#include "bench/limit/limit_sockets.h"
#include "bench/load/arguments.h"
#include "bench/load/pin.h"
#include "engine/srtp/srtp_opener.h"

namespace nexus::limit {
namespace {

struct Options {
  size_t subscribers, run, payload, audio_payload, rounds, bursts;
  double audio_per_run;
  bool gro;
  GcmLibrary gcm;
  int loop_core, other_core;
  long pause_us;  // pause between bursts, in which other work on the machine evicts the caches
};

double CpuNanos() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

SrtpKeyMaterial Keys(size_t of) {
  SrtpKeyMaterial material;
  for (size_t i = 0; i < material.key.size(); ++i) material.key[i] = static_cast<uint8_t>(of * 7 + i);
  return material;
}

class Limit {
 public:
  explicit Limit(const Options& options)
      : options_(options),
        in_(false, true),
        subscribers_(true, options.gro),
        opener_(kProfile, Keys(0), {.library = options.gcm}),
        publisher_(kProfile, Keys(0), options.gcm),
        receiver_(in_.fd()),
        batch_(in_.fd()) {
    for (size_t i = 0; i < options.subscribers; ++i) {
      sealers_.emplace_back(kProfile, Keys(i + 1), options.gcm);
      addresses_.push_back(subscribers_.At(kFirstSubscriber + static_cast<uint32_t>(i)));
    }
    arena_.resize(options.subscribers * Largest());
  }

  size_t packets_out() const { return packets_out_; }
  int drained_fd() const { return subscribers_.fd(); }

  // Sends the publisher's bursts, outside the measured time: `bursts` video frames, with audio in between.
  void Publish() {
    bursts_.clear();
    double audio = 0;
    for (size_t i = 0; i < options_.bursts; ++i) {
      bursts_.push_back({1, options_.run, options_.payload});
      for (audio += options_.audio_per_run; audio >= 1; audio -= 1)
        bursts_.push_back({2, 1, options_.audio_payload});
    }
    packets_in_ = 0;
    plain_.clear();
    for (const Burst& burst : bursts_) packets_in_ += burst.packets;
    packets_out_ = packets_in_ * options_.subscribers;
    Socket source(false, false);
    Batch out(source.fd());
    std::vector<SealedBurst> sealed;
    for (const Burst& burst : bursts_) sealed.push_back(Seal(burst, publisher_, index_in_[burst.ssrc % 4]));
    for (const SealedBurst& burst : sealed)
      out.Add(in_.At(INADDR_LOOPBACK), burst.bytes.data(), burst.bytes.size(), burst.segment);
    out.Send();
  }

  // Forwards everything burst by burst: each complete burst is sent to all subscribers.
  void Loop() {
    size_t left = packets_in_;
    size_t burst = 0;
    size_t of_burst = 0;
    while (left > 0) {
      const size_t got = receiver_.Read([&](MutableByteView packet) {
        const auto size = opener_.OpenRtp(packet, kHeaderSize);
        held_[of_burst++] = packet.first(size.value_or(kHeaderSize)).subspan(kHeaderSize);
        if (of_burst < bursts_[burst].packets) return;
        SealBurst(bursts_[burst]);
        SendBurst(bursts_[burst]);
        ++burst;
        of_burst = 0;
      });
      if (got == 0) break;  // the kernel dropped packets: the caller counts a failure
      left -= got;
    }
    batch_.Send();
    complete_ = complete_ && left == 0;
  }
  void OnlyReceive() {
    size_t left = packets_in_;
    while (left > 0) {
      const size_t got =
          receiver_.Read([&](MutableByteView packet) { plain_.emplace_back(packet.begin(), packet.end()); });
      if (got == 0) break;
      left -= got;
    }
  }
  void DropReceived() {
    while (receiver_.Read([](MutableByteView) {}) > 0) {
    }
  }
  void OnlyOpen() {
    for (auto& packet : plain_) opener_.OpenRtp(packet, kHeaderSize);
  }
  void OnlySeal() {
    static const std::vector<uint8_t> payload(65'536, 0x5A);
    for (const Burst& burst : bursts_) {
      for (size_t i = 0; i < burst.packets; ++i)
        held_[i] = ByteView(payload).subspan(i * burst.payload, burst.payload);
      SealBurst(burst);
    }
  }
  void OnlySend() {
    for (const Burst& burst : bursts_) SendBurst(burst);
    batch_.Send();
  }
  bool complete() const { return complete_; }

  size_t sent() const { return sent_; }
  size_t drained() const { return drained_.load(std::memory_order_relaxed); }
  std::atomic<size_t>& drain_counter() { return drained_; }
  // CPU time spent waiting for the receiving end.
  double waited() const { return waited_; }
  void AwaitDrained(size_t may_be_under_way) {
    const double before = CpuNanos();
    for (int tries = 0; tries < 20'000 && sent_ - drained() > may_be_under_way; ++tries) Sleep(50);
    waited_ += CpuNanos() - before;
  }

 private:
  static constexpr SrtpProfile kProfile = SrtpProfile::kAeadAes128Gcm;

  size_t SealedSize(const Burst& burst) const { return kHeaderSize + burst.payload + kSrtpMaxRtpOverhead; }
  size_t Largest() const {
    return std::max(SealedSize({0, 0, options_.payload}), SealedSize({0, 0, options_.audio_payload})) *
           options_.run;
  }

  void SealBurst(const Burst& burst) {
    const size_t size = SealedSize(burst);
    uint64_t& first = index_out_[burst.ssrc % 4];
    std::array<uint8_t, kHeaderSize> header;
    for (size_t s = 0; s < sealers_.size(); ++s) {
      uint8_t* out = arena_.data() + s * Largest();
      for (size_t i = 0; i < burst.packets; ++i, out += size) {
        WriteHeader(header, burst, first + i, 90'000);
        sealers_[s].SealRtp(header, held_[i], first + i, MutableByteView(out, size));
      }
    }
    first += burst.packets;
  }
  void SendBurst(const Burst& burst) {
    const size_t size = SealedSize(burst);
    for (size_t s = 0; s < sealers_.size(); ++s)
      batch_.Add(addresses_[s], arena_.data() + s * Largest(), size * burst.packets, size);
    batch_.Send();
    sent_ += sealers_.size() * burst.packets;
    AwaitDrained(kUnderWay);
    if (options_.pause_us > 0) Sleep(options_.pause_us);
  }
  static void Sleep(long us) {
    const timespec pause{0, us * 1'000};
    nanosleep(&pause, nullptr);
  }

  static constexpr size_t kUnderWay = 8'000;  // packets: a third of the socket's capacity

  Options options_;
  Socket in_;
  Socket subscribers_;
  SrtpOpener opener_;
  SrtpSealer publisher_;
  Receiver receiver_;
  Batch batch_;
  std::vector<SrtpSealer> sealers_;
  std::vector<sockaddr_in> addresses_;
  std::vector<uint8_t> arena_;
  std::vector<Burst> bursts_;
  std::array<ByteView, 64> held_;
  std::vector<std::vector<uint8_t>> plain_;
  std::array<uint64_t, 4> index_in_{};
  std::array<uint64_t, 4> index_out_{};
  size_t packets_in_ = 0;
  size_t packets_out_ = 0;
  bool complete_ = true;
  size_t sent_ = 0;
  std::atomic<size_t> drained_{0};
  double waited_ = 0;
};

double Timed(const Limit& limit, const std::function<void()>& step) {
  const double before = CpuNanos() - limit.waited();
  step();
  return CpuNanos() - limit.waited() - before;
}

struct LeastTimes {
  double receive = 1e30, open = 1e30, seal = 1e30, send = 1e30, loop = 1e30;
};

void Round(Limit& limit, LeastTimes& best) {
  limit.Publish();
  const auto out = static_cast<double>(limit.packets_out());
  const auto keep = [&](double& least, const std::function<void()>& step) {
    least = std::min(least, Timed(limit, step) / out);
  };
  keep(best.loop, [&] { limit.Loop(); });
  limit.Publish();
  keep(best.receive, [&] { limit.OnlyReceive(); });
  keep(best.open, [&] { limit.OnlyOpen(); });
  keep(best.seal, [&] { limit.OnlySeal(); });
  keep(best.send, [&] { limit.OnlySend(); });
}

int Main(int argc, char** argv) {
  const load::Arguments arguments(argc, argv, 1);
  const auto number = [&](const char* name, int64_t otherwise) {
    return static_cast<size_t>(arguments.Number(name, otherwise));
  };
  Options options{};
  options.subscribers = number("subscribers", 200);
  options.run = std::clamp<size_t>(number("run", 6), 1, 40);
  options.payload = number("payload", 1'100);
  options.audio_payload = number("audio_payload", 80);
  options.audio_per_run = std::strtod(arguments.Text("audio_per_run", "1.67").c_str(), nullptr);
  options.rounds = number("rounds", 7);
  options.bursts = number("bursts", 60);
  options.gro = number("gro", 0) != 0;
  options.pause_us = arguments.Number("pause_us", 0);
  options.gcm = arguments.Text("gcm", "") == "openssl" ? GcmLibrary::kOpenSsl : FastestGcmLibrary();
  load::PinToCore(static_cast<int>(number("loop_core", 0)));
  Limit limit(options);
  std::atomic<bool> stop{false};
  std::thread drain([&] {
    load::PinToCore(static_cast<int>(number("other_core", 1)));
    Drain(limit.drained_fd(), stop, limit.drain_counter());
  });
  LeastTimes best;
  for (size_t i = 0; i < options.rounds; ++i) Round(limit, best);
  limit.AwaitDrained(0);
  const size_t lost = limit.sent() - limit.drained();
  stop.store(true);
  drain.join();
  const double sum = best.receive + best.open + best.seal + best.send;
  std::printf(
      "{\"subscribers\": %zu, \"run\": %zu, \"payload\": %zu, \"audio_per_run\": %.2f, \"audio_payload\": "
      "%zu, "
      "\"gro\": %s, \"gcm\": \"%s\", \"complete\": %s, \"lost\": %zu, \"ns_per_packet_out\": {\"receive\": "
      "%.1f, "
      "\"unprotect\": "
      "%.1f, \"rewrite_and_seal\": %.1f, \"send\": %.1f, \"sum\": %.1f, \"loop\": %.1f}, \"loop_over_sum\": "
      "%.3f, "
      "\"packets_per_cpu_second\": %.0f}\n",
      options.subscribers, options.run, options.payload, options.audio_per_run, options.audio_payload,
      options.gro ? "true" : "false", GcmLibraryName(options.gcm).data(), limit.complete() ? "true" : "false",
      lost, best.receive, best.open, best.seal, best.send, sum, best.loop, best.loop / sum, 1e9 / best.loop);
  return limit.complete() && lost == 0 ? 0 : 1;
}

}  // namespace
}  // namespace nexus::limit

int main(int argc, char** argv) { return nexus::limit::Main(argc, argv); }
