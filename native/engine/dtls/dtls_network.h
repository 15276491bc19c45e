// For tests only: two DTLS endpoints and the datagrams between them, in emulated time. A test decides what
// the network does to each flight (the datagrams that one side sends at once).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/dtls/dtls_endpoint.h"

namespace nexus {

using Datagram = std::vector<uint8_t>;
using Flight = std::vector<Datagram>;

class DtlsNetwork {
 public:
  // Changes a flight in transit: `flight_number` counts per sender from 0.
  using Treatment = std::function<void(DtlsRole sender, int flight_number, Flight& flight)>;

  static constexpr Duration kOneWay = std::chrono::milliseconds(20);

  // Certificates are created once; fingerprints are set to match unless the configs have their own.
  DtlsNetwork(DtlsConfig client, DtlsConfig server);

  void set_treatment(Treatment treatment) { treatment_ = std::move(treatment); }
  void Start();
  // Runs until `until` (from the start) or until no event is left.
  void RunFor(Duration until);
  bool connected() const;
  // Time from the start until both sides were connected.
  Duration connected_after() const { return connected_at_ - kStart; }
  int sent() const { return sent_; }
  size_t largest() const { return largest_; }
  int flights(DtlsRole sender) const {
    return sender == DtlsRole::kClient ? client_flights_ : server_flights_;
  }
  Timestamp now() const { return now_; }
  void Deliver(DtlsRole to, const Datagram& datagram);

  DtlsEndpoint client;
  DtlsEndpoint server;

 private:
  static constexpr Timestamp kStart = TimestampFromMicros(1'000'000'000);
  struct InFlight {
    DtlsRole to;
    Datagram datagram;
  };
  void Collect(DtlsRole sender);
  void AdvanceTo(Timestamp when);

  Treatment treatment_;
  std::multimap<Timestamp, InFlight> queue_;
  Timestamp now_ = kStart;
  Timestamp connected_at_ = kNever;
  int sent_ = 0;
  int client_flights_ = 0;
  int server_flights_ = 0;
  size_t largest_ = 0;
};

std::shared_ptr<const DtlsCertificate> TestCertificate(DtlsRole role);
std::shared_ptr<const DtlsCertificate> TestRsaCertificate();
DtlsFingerprint FingerprintFor(const DtlsCertificate& certificate);

// A ClientHello that does not fit into one datagram, like those of browsers with a post-quantum key share.
DtlsConfig LargeClientHello();

}  // namespace nexus
