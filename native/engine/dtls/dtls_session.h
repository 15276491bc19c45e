// Implementation of DtlsEndpoint: OpenSSL's connection, its datagram port, and the state of the handshake.
// OpenSSL keeps its address, so it cannot move, while the endpoint can.
#pragma once

#include <openssl/ssl.h>

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "engine/dtls/datagram_bio.h"
#include "engine/dtls/dtls_endpoint.h"
#include "engine/dtls/dtls_record.h"

namespace nexus {

struct DtlsSession final : DatagramPort {
  explicit DtlsSession(DtlsConfig given) : config(std::move(given)) {}
  ~DtlsSession() override { SSL_free(ssl); }

  bool Open();
  void Begin(Timestamp now);
  void Feed(const DtlsRecord& record);
  bool Wants(const DtlsRecord& record);
  void Advance();
  void DrainApplicationData();
  void KeepApplicationData(ByteView record);
  void Complete();
  std::optional<SrtpKeys> ExportKeys() const;
  void Fail(DtlsFailure reason);
  void FailWithOpenSslError();
  void UpdateDeadline(Timestamp now);

  ByteView TakeInput() override { return std::exchange(input, {}); }
  void PutOutput(ByteView datagram) override;

  DtlsConfig config;
  SSL* ssl = nullptr;
  DtlsState state = DtlsState::kNew;
  DtlsFailure failure = DtlsFailure::kNone;
  bool fingerprint_mismatch = false;
  unsigned final_flights = 0;
  std::optional<SrtpKeys> keys;
  ByteView input;  // valid during the call that set it
  std::deque<std::vector<uint8_t>> output;
  std::deque<std::vector<uint8_t>> received;  // application data
  Timestamp handshake_deadline = kNever;
  Timestamp retransmit_at = kNever;
  DtlsCounters counters;

  static DtlsSession* Of(const SSL* ssl) { return static_cast<DtlsSession*>(SSL_get_app_data(ssl)); }
  static int VerifyPeer(X509_STORE_CTX* store, void*);
  static unsigned int NextTimeout(SSL* ssl, unsigned int last_us);
};

}  // namespace nexus
