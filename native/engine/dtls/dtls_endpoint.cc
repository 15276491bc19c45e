#include "engine/dtls/dtls_endpoint.h"

#include <openssl/err.h>

#include <algorithm>
#include <utility>

#include "engine/dtls/dtls_session.h"

namespace nexus {

DtlsEndpoint::DtlsEndpoint(DtlsConfig config) : session_(std::make_unique<DtlsSession>(std::move(config))) {
  if (!session_->Open()) session_->Fail(DtlsFailure::kProtocol);
}
DtlsEndpoint::~DtlsEndpoint() = default;
DtlsEndpoint::DtlsEndpoint(DtlsEndpoint&&) noexcept = default;
DtlsEndpoint& DtlsEndpoint::operator=(DtlsEndpoint&&) noexcept = default;

void DtlsEndpoint::Start(Timestamp now) {
  if (session_->state != DtlsState::kNew) return;
  session_->Begin(now);
  session_->Advance();
  session_->UpdateDeadline(now);
}

void DtlsEndpoint::HandleDatagram(ByteView datagram, Timestamp now) {
  DtlsSession& session = *session_;
  ++session.counters.datagrams_in;
  std::optional<DtlsRecord> record = NextDtlsRecord(datagram);
  if (!record) {
    ++session.counters.dropped_not_dtls;
    return;
  }
  if (session.state == DtlsState::kNew) session.Begin(now);
  for (; record; record = NextDtlsRecord(datagram)) {
    if (session.state != DtlsState::kConnecting && session.state != DtlsState::kConnected) {
      ++session.counters.dropped_after_end;
      break;
    }
    session.Feed(*record);
  }
  session.UpdateDeadline(now);
}

std::optional<std::vector<uint8_t>> DtlsEndpoint::PollTransmit() {
  if (session_->output.empty()) return std::nullopt;
  std::vector<uint8_t> datagram = std::move(session_->output.front());
  session_->output.pop_front();
  return datagram;
}

std::optional<std::vector<uint8_t>> DtlsEndpoint::PollApplicationData() {
  if (session_->received.empty()) return std::nullopt;
  std::vector<uint8_t> record = std::move(session_->received.front());
  session_->received.pop_front();
  return record;
}

bool DtlsEndpoint::SendApplicationData(ByteView bytes) {
  DtlsSession& session = *session_;
  if (session.state != DtlsState::kConnected || bytes.empty()) return false;
  ERR_clear_error();
  if (SSL_write(session.ssl, bytes.data(), static_cast<int>(bytes.size())) <= 0) {
    ERR_clear_error();  // too long for the MTU, or the connection is closing: the record is lost
    return false;
  }
  ++session.counters.application_data_out;
  return true;
}

void DtlsEndpoint::HandleTimeout(Timestamp now) {
  DtlsSession& session = *session_;
  if (session.state != DtlsState::kConnecting || now < next_deadline()) return;
  if (now >= session.handshake_deadline) {
    session.Fail(DtlsFailure::kTimeout);
  } else {
    ERR_clear_error();
    const int result = DTLSv1_handle_timeout(session.ssl);  // 0: not yet, by OpenSSL's clock
    if (result > 0) ++session.counters.retransmit_timeouts;
    if (result < 0) session.FailWithOpenSslError();
  }
  session.UpdateDeadline(now);
}

Timestamp DtlsEndpoint::next_deadline() const {
  if (session_->state != DtlsState::kConnecting) return kNever;
  return std::min(session_->handshake_deadline, session_->retransmit_at);
}

void DtlsEndpoint::Close() {
  if (session_->state == DtlsState::kConnected) {
    ERR_clear_error();
    SSL_shutdown(session_->ssl);
  }
  if (session_->state != DtlsState::kFailed) session_->state = DtlsState::kClosed;
}

DtlsState DtlsEndpoint::state() const { return session_->state; }
DtlsFailure DtlsEndpoint::failure() const { return session_->failure; }
const std::optional<SrtpKeys>& DtlsEndpoint::srtp_keys() const { return session_->keys; }
const DtlsCounters& DtlsEndpoint::counters() const { return session_->counters; }

}  // namespace nexus
