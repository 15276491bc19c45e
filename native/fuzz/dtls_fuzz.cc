// Datagrams to a DTLS server: each is a 16-bit length and as many bytes, and time passes between them.
// Randomness and the wall clock are deterministic, so that a crash can be reproduced.
#define OPENSSL_SUPPRESS_DEPRECATED  // RAND_METHOD is the only way to seed libssl's randomness
#include <openssl/rand.h>
#include <sys/time.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "engine/dtls/dtls_endpoint.h"

namespace {

using namespace nexus;

int64_t wall_clock_us = 0;
uint64_t random_state = 0;

int PredictableBytes(unsigned char* out, int size) {
  for (int i = 0; i < size; ++i) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    out[i] = static_cast<unsigned char>(random_state >> 56);
  }
  return 1;
}

int AlwaysSeeded() { return 1; }

std::shared_ptr<const DtlsCertificate> MakeCertificate() {
  static RAND_METHOD method{nullptr, &PredictableBytes, nullptr, nullptr, &PredictableBytes, &AlwaysSeeded};
  if (RAND_set_rand_method(&method) != 1) std::abort();
  auto certificate = DtlsCertificate::Generate();
  if (!certificate) std::abort();
  return certificate;
}

}  // namespace

extern "C" int gettimeofday(struct timeval* __restrict out, void* __restrict) noexcept {
  out->tv_sec = 1'000'000 + wall_clock_us / 1'000'000;
  out->tv_usec = wall_clock_us % 1'000'000;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const DtlsCertificate> certificate = MakeCertificate();
  random_state = 1;
  wall_clock_us = 0;
  DtlsConfig config;
  config.certificate = certificate;
  config.remote_fingerprints = {{"sha-256", certificate->fingerprint()}};
  DtlsEndpoint server(config);
  ByteReader reader(ByteView(data, size));
  while (reader.remaining() > 2) {
    const size_t length = std::min<size_t>(reader.U16(), reader.remaining());
    wall_clock_us += 20'000;
    const Timestamp now = TimestampFromMicros(wall_clock_us);
    server.HandleDatagram(reader.Bytes(length), now);
    if (server.next_deadline() <= now) server.HandleTimeout(now);
    while (const auto datagram = server.PollTransmit()) {
      if (datagram->size() > config.mtu) std::abort();
    }
  }
  // No peer may connect without the private key of the only expected certificate.
  if (server.state() == DtlsState::kConnected || server.srtp_keys()) std::abort();
  return 0;
}
