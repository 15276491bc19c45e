// Nanoseconds per sealed and opened packet, by profile, library and size: minimum and median over several
// rounds. Prints one JSON object per line. Packets are sealed from one buffer into another, as in the
// forwarder.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <vector>

#include "engine/srtp/srtp_opener.h"
#include "engine/srtp/srtp_sealer.h"

namespace {

using namespace nexus;

constexpr size_t kPackets = 20'000;
constexpr size_t kRounds = 15;
constexpr size_t kHeaderSize = 20;  // one extension element, as sent to browsers

double Now() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Print(const char* profile, GcmLibrary library, const char* operation, size_t size,
           std::array<double, kRounds> rounds) {
  std::sort(rounds.begin(), rounds.end());
  std::printf(
      "{\"profile\": \"%s\", \"gcm\": \"%s\", \"operation\": \"%s\", \"packet_bytes\": %zu, \"ns_min\": "
      "%.0f, \"ns_median\": "
      "%.0f}\n",
      profile, GcmLibraryName(library).data(), operation, size, rounds.front() / kPackets,
      rounds[kRounds / 2] / kPackets);
}

std::vector<uint8_t> Header() {
  std::vector<uint8_t> header(kHeaderSize);
  ByteWriter writer(header);
  writer.U16(0x9060);
  writer.U16(0);
  writer.U32(1);
  writer.U32(0xCAFE);
  writer.U32(0xBEDE0001);
  writer.U32(0x10000000);
  return header;
}

bool Measure(SrtpProfile profile, GcmLibrary library, const char* name, size_t size) {
  SrtpKeyMaterial material;
  material.key.fill(7);
  material.salt.fill(9);
  SrtpSealer sealer(profile, material, library);
  SrtpOpener opener(profile, material, {.library = library});
  std::vector<uint8_t> header = Header();
  const std::vector<uint8_t> payload(size - kHeaderSize, 0x5A);
  const size_t sealed_size = size + SrtpTagSize(profile);
  std::vector<uint8_t> arena(kPackets * sealed_size);
  std::array<double, kRounds> sealing{};
  std::array<double, kRounds> opening{};
  uint64_t index = 0;
  bool ok = true;
  for (size_t round = 0; round < kRounds; ++round) {
    const double begin = Now();
    for (size_t i = 0; i < kPackets; ++i, ++index) {
      header[2] = static_cast<uint8_t>(index >> 8);
      header[3] = static_cast<uint8_t>(index);
      // A rewritten VP8 descriptor comes from a different buffer than the rest.
      const ByteView prefix = ByteView(payload).first(size > 200 ? 6 : 0);
      ok &= sealer.SealRtp(header, prefix, ByteView(payload).subspan(prefix.size()), index,
                           MutableByteView(arena).subspan(i * sealed_size, sealed_size)) != 0;
    }
    const double middle = Now();
    for (size_t i = 0; i < kPackets; ++i) {
      ok &= opener.OpenRtp(MutableByteView(arena).subspan(i * sealed_size, sealed_size), kHeaderSize)
                .has_value();
    }
    sealing[round] = middle - begin;
    opening[round] = Now() - middle;
  }
  Print(name, library, "seal", size, sealing);
  Print(name, library, "open", size, opening);
  return ok;
}

}  // namespace

int main() {
  bool ok = true;
  for (const size_t size : {1200u, 80u}) {
    for (const GcmLibrary library : {GcmLibrary::kOpenSsl, GcmLibrary::kIpsecMb}) {
      if (IsAvailable(library)) ok &= Measure(SrtpProfile::kAeadAes128Gcm, library, "AEAD_AES_128_GCM", size);
    }
    ok &= Measure(SrtpProfile::kAes128CmHmacSha1_80, GcmLibrary::kOpenSsl, "AES_CM_128_HMAC_SHA1_80", size);
  }
  if (!ok) std::fputs("a packet failed: the results are void\n", stderr);
  return ok ? 0 : 1;
}
