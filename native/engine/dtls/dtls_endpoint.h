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
#include "engine/dtls/dtls_fingerprint.h"
#include "engine/srtp/srtp_keys.h"

namespace nexus {

enum class DtlsRole : uint8_t { kServer, kClient };
enum class DtlsState : uint8_t { kNew, kConnecting, kConnected, kClosed, kFailed };
enum class DtlsFailure : uint8_t { kNone, kFingerprintMismatch, kAlert, kTimeout, kProtocol };

struct DtlsConfig {
  DtlsRole role = DtlsRole::kServer;
  std::shared_ptr<const DtlsCertificate> certificate;
  std::vector<DtlsFingerprint> remote_fingerprints;  // one match suffices; none given: nobody is accepted
  // In order of preference; the server chooses.
  std::vector<SrtpProfile> profiles = {SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80};
  std::vector<std::string> alpn;  // offered by a client (RFC 8833 has "webrtc"); a server takes no notice
  size_t mtu = 1200;              // bytes of a datagram at most
  size_t max_queued = 64;         // datagrams waiting for PollTransmit
  // Records of application data waiting for PollApplicationData; 0: what the peer sends of it is dropped.
  size_t max_received = 0;
  // RFC 6347 section 4.2.4.1 says one second, and less for applications that cannot wait. Doubles up to
  // `max_retransmit`.
  Duration initial_retransmit = std::chrono::milliseconds(250);
  Duration max_retransmit = std::chrono::seconds(4);
  Duration handshake_timeout = std::chrono::seconds(30);
  // Repeated Finished messages of a client that are answered after completion: it did not get our last
  // flight. A bound, because OpenSSL answers each one that is a new record.
  unsigned max_final_flights = 8;
};

struct DtlsCounters {
  uint64_t datagrams_in = 0;
  uint64_t datagrams_out = 0;
  uint64_t dropped_not_dtls = 0;     // no whole record at the front
  uint64_t dropped_implausible = 0;  // records that no peer would send
  uint64_t dropped_after_end = 0;    // closed or failed
  uint64_t dropped_repeated = 0;     // handshake records after completion, beyond what is answered
  uint64_t dropped_queue_full = 0;
  uint64_t application_data_in = 0;
  uint64_t application_data_out = 0;
  uint64_t dropped_application_data = 0;  // nobody wanted it, or it was not fetched in time
  uint64_t retransmit_timeouts = 0;
};

struct DtlsSession;

class DtlsEndpoint {
 public:
  explicit DtlsEndpoint(DtlsConfig config);
  ~DtlsEndpoint();
  DtlsEndpoint(DtlsEndpoint&&) noexcept;
  DtlsEndpoint& operator=(DtlsEndpoint&&) noexcept;

  // The handshake's time begins (for a server: call it when ICE has an address). A client sends its
  // ClientHello.
  void Start(Timestamp now);
  void HandleDatagram(ByteView datagram, Timestamp now);
  std::optional<std::vector<uint8_t>> PollTransmit();
  void HandleTimeout(Timestamp now);
  Timestamp next_deadline() const;
  // Application data of the peer, one record at a time and whole (RFC 8261 section 5: one SCTP packet each).
  std::optional<std::vector<uint8_t>> PollApplicationData();
  // One record. False before the connection, after its end, and for what does not fit into one datagram.
  bool SendApplicationData(ByteView bytes);
  // Queues close_notify when there is a connection.
  void Close();

  DtlsState state() const;
  DtlsFailure failure() const;
  // From kConnected on.
  const std::optional<SrtpKeys>& srtp_keys() const;
  const DtlsCounters& counters() const;

 private:
  std::unique_ptr<DtlsSession> session_;
};

}  // namespace nexus
