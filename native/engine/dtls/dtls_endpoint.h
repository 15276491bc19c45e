// One DTLS 1.2 association for DTLS-SRTP (RFC 6347, RFC 5764): datagrams in and out, and SRTP keys at the
// end. The peer is authenticated by its certificate's fingerprint from signaling (RFC 8122); type and dates
// of the certificate are ignored.
//
// Limitation: OpenSSL 3.0 times retransmissions by gettimeofday. Deadlines returned here are in the caller's
// time, but OpenSSL decides by the wall clock whether one has passed; tests replace gettimeofday. If the wall
// clock is set back during a handshake, a retransmission is late, and `handshake_timeout`, which is in the
// caller's time, still ends the handshake.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/time.h"
#include "engine/dtls/dtls_certificate.h"
#include "engine/dtls/dtls_fingerprint.h"
#include "engine/srtp/srtp_keys.h"

namespace nexus {

enum class DtlsRole : uint8_t { kServer, kClient };
enum class DtlsState : uint8_t { kNew, kConnecting, kConnected, kClosed, kFailed };
enum class DtlsFailure : uint8_t { kNone, kFingerprintMismatch, kAlert, kTimeout, kProtocol };

struct DtlsConfig {
  DtlsRole role = DtlsRole::kServer;
  std::shared_ptr<const DtlsCertificate> certificate;
  std::vector<DtlsFingerprint> remote_fingerprints;  // one match suffices; empty: no peer is accepted
  // In the order of preference; the server chooses.
  std::vector<SrtpProfile> profiles = {SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80};
  std::vector<std::string> alpn;  // offered by a client (RFC 8833 has "webrtc"); a server ignores it
  size_t mtu = 1200;              // maximum size of a datagram
  size_t max_queued = 64;         // maximum number of datagrams that wait for PollTransmit
  // Maximum number of records that wait for PollApplicationData; 0: application data is dropped.
  size_t max_received = 0;
  // First retransmission timeout; it doubles up to `max_retransmit`. RFC 6347 section 4.2.4.1 recommends one
  // second, and less for time-sensitive applications.
  Duration initial_retransmit = std::chrono::milliseconds(250);
  Duration max_retransmit = std::chrono::seconds(4);
  Duration handshake_timeout = std::chrono::seconds(30);
  // Maximum number of a client's repeated Finished messages that are answered after completion, when our last
  // flight was lost. It is a bound because OpenSSL answers each one that is a new record.
  unsigned max_final_flights = 8;
};

struct DtlsCounters {
  uint64_t datagrams_in = 0;
  uint64_t datagrams_out = 0;
  uint64_t dropped_not_dtls = 0;     // no complete record at the front
  uint64_t dropped_implausible = 0;  // records that no valid peer sends
  uint64_t dropped_after_end = 0;    // closed or failed
  uint64_t dropped_repeated = 0;     // handshake records after completion, beyond those that are answered
  uint64_t dropped_queue_full = 0;
  uint64_t application_data_in = 0;
  uint64_t application_data_out = 0;
  uint64_t dropped_application_data = 0;  // unused, or not fetched in time
  uint64_t retransmit_timeouts = 0;
};

struct DtlsSession;

class DtlsEndpoint {
 public:
  explicit DtlsEndpoint(DtlsConfig config);
  ~DtlsEndpoint();
  DtlsEndpoint(DtlsEndpoint&&) noexcept;
  DtlsEndpoint& operator=(DtlsEndpoint&&) noexcept;

  // Starts the handshake's time limit (for a server: to be called when ICE has an address). A client sends
  // its ClientHello.
  void Start(Timestamp now);
  void HandleDatagram(ByteView datagram, Timestamp now);
  std::optional<std::vector<uint8_t>> PollTransmit();
  void HandleTimeout(Timestamp now);
  Timestamp next_deadline() const;
  // The peer's application data, in complete records (RFC 8261 section 5: one SCTP packet each).
  std::optional<std::vector<uint8_t>> PollApplicationData();
  // Sends one record. False before the connection, after its end, and if it does not fit into a datagram.
  bool SendApplicationData(ByteView bytes);
  // Queues close_notify if connected.
  void Close();

  DtlsState state() const;
  DtlsFailure failure() const;
  // Set when kConnected is reached.
  const std::optional<SrtpKeys>& srtp_keys() const;
  const DtlsCounters& counters() const;

 private:
  std::unique_ptr<DtlsSession> session_;
};

}  // namespace nexus
