// One DTLS 1.2 association for DTLS-SRTP (RFC 6347, RFC 5764): datagrams in, datagrams out, SRTP keys at the
// end. The peer is whoever holds the certificate whose fingerprint signaling named (RFC 8122); its kind and
// dates do not matter.
//
// Confession: OpenSSL 3.0 times retransmission by gettimeofday and by nothing else. Deadlines handed out here
// are in the caller's time, and whether one has passed is judged by the wall clock inside OpenSSL; tests
// interpose gettimeofday. If the wall clock is set back during a handshake, a retransmission comes late and
// `handshake_timeout`, which is in the caller's time, still ends it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/time.h"
#include "engine/dtls/dtls_certificate.h"
#include "engine/srtp/srtp_keys.h"

namespace nexus {

enum class DtlsRole : uint8_t { kServer, kClient };
enum class DtlsState : uint8_t { kNew, kConnecting, kConnected, kClosed, kFailed };
enum class DtlsFailure : uint8_t { kNone, kFingerprintMismatch, kAlert, kTimeout, kProtocol };

// As in `a=fingerprint`: algorithm in any case ("sha-256", "sha-384", "sha-512"), value in any case.
struct DtlsFingerprint {
  std::string algorithm;
  std::string value;
};

struct DtlsConfig {
  DtlsRole role = DtlsRole::kServer;
  std::shared_ptr<const DtlsCertificate> certificate;
  std::vector<DtlsFingerprint> remote_fingerprints;  // one match suffices; none given: nobody is accepted
  // In order of preference; the server chooses.
  std::vector<SrtpProfile> profiles = {SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80};
  size_t mtu = 1200;       // bytes of a datagram at most
  size_t max_queued = 64;  // datagrams waiting for PollTransmit
  Duration handshake_timeout = std::chrono::seconds(30);
};

struct DtlsCounters {
  uint64_t datagrams_in = 0;
  uint64_t datagrams_out = 0;
  uint64_t dropped_not_dtls = 0;  // not a DTLS record, cut short, or after the end
  uint64_t dropped_queue_full = 0;
  uint64_t retransmit_timeouts = 0;
};

class DtlsEndpoint {
 public:
  DtlsEndpoint(DtlsConfig config, Timestamp now);
  ~DtlsEndpoint();
  DtlsEndpoint(DtlsEndpoint&&) noexcept;
  DtlsEndpoint& operator=(DtlsEndpoint&&) noexcept;

  // A client sends its ClientHello; a server does nothing until it gets one.
  void Start(Timestamp now);
  void HandleDatagram(ByteView datagram, Timestamp now);
  std::optional<std::vector<uint8_t>> PollTransmit();
  void HandleTimeout(Timestamp now);
  Timestamp next_deadline() const;
  // Queues close_notify when there is a connection.
  void Close();

  DtlsState state() const;
  DtlsFailure failure() const;
  // From kConnected on.
  const std::optional<SrtpKeys>& srtp_keys() const;
  const DtlsCounters& counters() const;

 private:
  struct Session;
  std::unique_ptr<Session> session_;
};

}  // namespace nexus
