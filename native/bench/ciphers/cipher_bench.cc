// AES-128-GCM as SRTP uses it, by every available library in turn: nanoseconds per sealed and opened packet,
// minimum and median over rounds. Contexts are keyed once; each packet has its own nonce. Prints one JSON
// object per line; the run fails if a library's output differs from OpenSSL's.
//
//   cipher_bench [rounds=15] [core=1]
//
// Two mixes: one key, whose context stays in the L1 cache, and 150 keys with runs of six packets each, as in
// a livestream to 150 viewers.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "bench/ciphers/candidates.h"
#include "bench/load/arguments.h"
#include "bench/load/pin.h"

namespace nexus::ciphers {
namespace {

constexpr size_t kPackets = 18'000;  // per round
constexpr size_t kHeaderSize = 20;   // one extension element, as sent to browsers
constexpr size_t kTagSize = 16;
constexpr size_t kDescriptor = 6;  // a rewritten VP8 descriptor, sealed before a payload from another buffer

struct Mix {
  size_t keys;
  size_t run;  // consecutive packets for one key
};
constexpr Mix kMixes[] = {{1, 60}, {150, 6}};

double Now() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Nanoseconds {
  double seal = 0;
  double open = 0;
};

// One library's contexts for all keys of a mix. Seals into an arena, and opens in place.
class Lane {
 public:
  Lane(const Candidate& candidate, Mix mix, size_t packet_size, size_t prefix_size)
      : mix_(mix),
        prefix_size_(prefix_size),
        payload_(packet_size - kHeaderSize, 0x5A),
        sealed_size_(packet_size + kTagSize),
        arena_(mix.keys * mix.run * sealed_size_) {
    for (size_t key = 0; key < mix.keys; ++key) {
      SrtpKeyMaterial material;
      material.key.fill(static_cast<uint8_t>(key + 1));
      material.salt.fill(9);
      constexpr SrtpProfile kProfile = SrtpProfile::kAeadAes128Gcm;
      const auto rtp = DeriveSrtpSessionKeys(kProfile, material, SrtpPacketKind::kRtp);
      const auto rtcp = DeriveSrtpSessionKeys(kProfile, material, SrtpPacketKind::kRtcp);
      if (!rtp || !rtcp) continue;
      sealers_.push_back(candidate.make(*rtp, *rtcp, SrtpDirection::kSeal));
      openers_.push_back(candidate.make(*rtp, *rtcp, SrtpDirection::kOpen));
    }
    header_[0] = 0x90;
    header_[15] = 1;
  }

  size_t packets() const { return mix_.keys * mix_.run; }
  const std::vector<uint8_t>& arena() const { return arena_; }
  bool ok() const { return ok_ && sealers_.size() == mix_.keys; }
  bool Restored() const {
    for (size_t i = 0; i < packets(); ++i) {
      const auto body = arena_.begin() + static_cast<ptrdiff_t>(i * sealed_size_ + kHeaderSize);
      if (!std::equal(payload_.begin(), payload_.end(), body)) return false;
    }
    return true;
  }

  void Seal() {
    MutableByteView out(arena_);
    const ByteView prefix = ByteView(payload_).first(prefix_size_);
    const ByteView rest = ByteView(payload_).subspan(prefix_size_);
    for (size_t key = 0; key < mix_.keys; ++key) {
      if (key + 1 < mix_.keys) sealers_[key + 1]->Prefetch();
      for (size_t i = 0; i < mix_.run; ++i) {
        SetSequence(index_ + i);
        ok_ &= sealers_[key]->SealRtp(header_, prefix, rest, index_ + i, out) == sealed_size_;
        out = out.subspan(sealed_size_);
      }
    }
  }

  void Open() {
    MutableByteView in(arena_);
    for (size_t key = 0; key < mix_.keys; ++key) {
      if (key + 1 < mix_.keys) openers_[key + 1]->Prefetch();
      for (size_t i = 0; i < mix_.run; ++i) {
        ok_ &= openers_[key]->OpenRtp(in.first(sealed_size_), kHeaderSize, index_ + i);
        in = in.subspan(sealed_size_);
      }
    }
    index_ += mix_.run;
  }

  Nanoseconds Round() {
    Nanoseconds spent;
    size_t done = 0;
    for (; done < kPackets; done += packets()) {
      const double begin = Now();
      Seal();
      const double middle = Now();
      Open();
      spent.open += Now() - middle;
      spent.seal += middle - begin;
    }
    return {spent.seal / static_cast<double>(done), spent.open / static_cast<double>(done)};
  }

 private:
  void SetSequence(uint64_t index) {
    header_[2] = static_cast<uint8_t>(index >> 8);
    header_[3] = static_cast<uint8_t>(index);
  }

  Mix mix_;
  size_t prefix_size_;
  std::vector<uint8_t> payload_;
  size_t sealed_size_;
  std::vector<uint8_t> arena_;
  std::array<uint8_t, kHeaderSize> header_{};
  std::vector<std::unique_ptr<SrtpTransform>> sealers_;
  std::vector<std::unique_ptr<SrtpTransform>> openers_;
  uint64_t index_ = 0;
  bool ok_ = true;
};

void Print(const std::string& name, Mix mix, const char* operation, size_t size, std::vector<double> rounds) {
  std::sort(rounds.begin(), rounds.end());
  std::printf(
      "{\"gcm\": \"%s\", \"keys\": %zu, \"operation\": \"%s\", \"packet_bytes\": %zu, \"ns_min\": %.1f, "
      "\"ns_median\": %.1f}\n",
      name.c_str(), mix.keys, operation, size, rounds.front(), rounds[rounds.size() / 2]);
}

// True if all libraries seal the same bytes as OpenSSL and restore the plain text.
bool Agree(std::vector<Lane>& lanes) {
  bool agree = true;
  for (Lane& lane : lanes) lane.Seal();
  for (Lane& lane : lanes) agree &= lane.arena() == lanes.front().arena();
  for (Lane& lane : lanes) lane.Open();
  for (Lane& lane : lanes) agree &= lane.ok() && lane.Restored();
  return agree;
}

bool Measure(const std::vector<Candidate>& candidates, Mix mix, size_t size, size_t prefix, size_t rounds) {
  std::vector<Lane> lanes;
  for (const Candidate& candidate : candidates) lanes.emplace_back(candidate, mix, size, prefix);
  if (!Agree(lanes)) return false;
  std::vector<std::vector<double>> sealing(lanes.size());
  std::vector<std::vector<double>> opening(lanes.size());
  for (size_t round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < lanes.size(); ++i) {
      const Nanoseconds spent = lanes[i].Round();
      sealing[i].push_back(spent.seal);
      opening[i].push_back(spent.open);
    }
  }
  for (size_t i = 0; i < lanes.size(); ++i) {
    Print(candidates[i].name, mix, prefix == 0 ? "seal" : "seal_rewritten", size, sealing[i]);
    if (prefix == 0) Print(candidates[i].name, mix, "open", size, opening[i]);
  }
  return std::all_of(lanes.begin(), lanes.end(), [](const Lane& lane) { return lane.ok(); });
}

int Run(const load::Arguments& arguments) {
  load::PinToCore(static_cast<int>(arguments.Number("core", 1)));
  const auto rounds = static_cast<size_t>(std::max<int64_t>(1, arguments.Number("rounds", 15)));
  const std::vector<Candidate> candidates = Candidates();
  bool ok = true;
  for (const Mix mix : kMixes) {
    for (const size_t size : {80u, 160u, 1'100u, 1'200u}) {
      ok &= Measure(candidates, mix, size, 0, rounds);
      if (size > 200) ok &= Measure(candidates, mix, size, kDescriptor, rounds);
    }
  }
  if (!ok) std::fputs("a packet failed or differed: the results are void\n", stderr);
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace nexus::ciphers

int main(int argc, char** argv) { return nexus::ciphers::Run(nexus::load::Arguments(argc, argv, 1)); }
