#include "engine/dtls/dtls_session.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <sys/time.h>

#include <algorithm>
#include <array>

namespace nexus {

namespace {

std::string ProfileList(const std::vector<SrtpProfile>& profiles) {
  std::string list;
  for (const SrtpProfile profile : profiles) {
    if (!list.empty()) list += ':';
    list += profile == SrtpProfile::kAeadAes128Gcm ? "SRTP_AEAD_AES_128_GCM" : "SRTP_AES128_CM_SHA1_80";
  }
  return list;
}

// RFC 7301 section 3.1: each name follows its length.
std::vector<uint8_t> AlpnWire(const std::vector<std::string>& names) {
  std::vector<uint8_t> wire;
  for (const std::string& name : names) {
    wire.push_back(static_cast<uint8_t>(name.size()));
    wire.insert(wire.end(), name.begin(), name.end());
  }
  return wire;
}

}  // namespace

int DtlsSession::VerifyPeer(X509_STORE_CTX* store, void*) {
  const auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  DtlsSession* session = Of(ssl);
  const X509* certificate = X509_STORE_CTX_get0_cert(store);
  if (certificate != nullptr && MatchesAny(certificate, session->config.remote_fingerprints)) return 1;
  session->fingerprint_mismatch = true;
  X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);  // becomes the alert bad_certificate
  return 0;
}

unsigned int DtlsSession::NextTimeout(SSL* ssl, unsigned int last_us) {
  const DtlsConfig& config = Of(ssl)->config;
  const Duration next = last_us == 0 ? config.initial_retransmit : Duration(int64_t{last_us} * 2);
  return static_cast<unsigned int>(std::min(next, config.max_retransmit).count());
}

bool DtlsSession::Open() {
  if (!config.certificate) return false;
  ssl = SSL_new(config.certificate->context());
  if (ssl == nullptr) return false;
  SSL_set_app_data(ssl, this);
  BIO* bio = MakeDatagramBio(this);
  if (bio == nullptr) return false;
  SSL_set_bio(ssl, bio, bio);
  SSL_set_mtu(ssl, static_cast<long>(config.mtu));
  DTLS_set_timer_cb(ssl, &NextTimeout);
  if (SSL_set_tlsext_use_srtp(ssl, ProfileList(config.profiles).c_str()) != 0)
    return false;  // 0 is success here
  if (config.role == DtlsRole::kServer) {
    SSL_set_accept_state(ssl);
    return true;
  }
  SSL_set_connect_state(ssl);
  const std::vector<uint8_t> alpn = AlpnWire(config.alpn);
  return alpn.empty() || SSL_set_alpn_protos(ssl, alpn.data(), static_cast<unsigned int>(alpn.size())) == 0;
}

void DtlsSession::Begin(Timestamp now) {
  if (state != DtlsState::kNew) return;
  state = DtlsState::kConnecting;
  handshake_deadline = now + config.handshake_timeout;
}

void DtlsSession::PutOutput(ByteView datagram) {
  if (output.size() >= config.max_queued) {
    ++counters.dropped_queue_full;  // as if lost by the network
    return;
  }
  output.emplace_back(datagram.begin(), datagram.end());
  ++counters.datagrams_out;
}

bool DtlsSession::Wants(const DtlsRecord& record) {
  if (!IsPlausible(record)) {
    ++counters.dropped_implausible;
    return false;
  }
  if (state != DtlsState::kConnected || record.type != DtlsContentType::kHandshake) return true;
  // After completion only the server may repeat its last flight, for a client that did not receive it (RFC
  // 6347 section 4.2.4). The client's repeated records of epoch 0 accompany its Finished and are ignored.
  const bool asks_for_final_flight = config.role == DtlsRole::kServer && record.epoch == 1;
  if (asks_for_final_flight && final_flights < config.max_final_flights) {
    ++final_flights;
    return true;
  }
  ++counters.dropped_repeated;
  return false;
}

void DtlsSession::Feed(const DtlsRecord& record) {
  if (!Wants(record)) return;
  input = record.bytes;
  Advance();
  input = {};
}

void DtlsSession::Advance() {
  if (state == DtlsState::kConnecting) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl);
    if (result == 1) {
      Complete();
    } else if (SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ) {
      FailWithOpenSslError();
    }
  }
  if (state == DtlsState::kConnected) DrainApplicationData();
}

// Reading also handles close_notify and a repeated Finished, so it is done even if the data is unused.
// Records are kept apart, because each contains one SCTP packet (RFC 8261 section 5).
void DtlsSession::DrainApplicationData() {
  std::array<uint8_t, SSL3_RT_MAX_PLAIN_LENGTH> record;
  while (true) {
    ERR_clear_error();
    const int result = SSL_read(ssl, record.data(), static_cast<int>(record.size()));
    if (result > 0) {
      KeepApplicationData(ByteView(record).first(static_cast<size_t>(result)));
      continue;
    }
    const int error = SSL_get_error(ssl, result);
    if (error == SSL_ERROR_WANT_READ) return;
    if (error == SSL_ERROR_ZERO_RETURN) {
      state = DtlsState::kClosed;
    } else {
      FailWithOpenSslError();
    }
    return;
  }
}

void DtlsSession::KeepApplicationData(ByteView record) {
  ++counters.application_data_in;
  if (received.size() >= config.max_received) {
    ++counters.dropped_application_data;
    return;
  }
  received.emplace_back(record.begin(), record.end());
}

void DtlsSession::Complete() {
  keys = ExportKeys();
  if (!keys) {  // no common profile: without SRTP the connection has no use (RFC 5764 section 4.1)
    SSL_shutdown(ssl);
    Fail(DtlsFailure::kProtocol);
    return;
  }
  state = DtlsState::kConnected;
}

// RFC 5764 section 4.2: client key, server key, client salt, server salt.
std::optional<SrtpKeys> DtlsSession::ExportKeys() const {
  const SRTP_PROTECTION_PROFILE* chosen = SSL_get_selected_srtp_profile(const_cast<SSL*>(ssl));
  if (chosen == nullptr) return std::nullopt;
  SrtpKeys exported;
  exported.profile =
      chosen->id == SRTP_AEAD_AES_128_GCM ? SrtpProfile::kAeadAes128Gcm : SrtpProfile::kAes128CmHmacSha1_80;
  const size_t salt_size = SrtpSaltSize(exported.profile);
  std::array<uint8_t, 2 * (kSrtpMasterKeySize + 14)> bytes{};
  constexpr char kLabel[] = "EXTRACTOR-dtls_srtp";
  if (SSL_export_keying_material(ssl, bytes.data(), 2 * (kSrtpMasterKeySize + salt_size), kLabel,
                                 sizeof(kLabel) - 1, nullptr, 0, 0) != 1) {
    return std::nullopt;
  }
  ByteReader reader(ByteView(bytes).first(2 * (kSrtpMasterKeySize + salt_size)));
  std::ranges::copy(reader.Bytes(kSrtpMasterKeySize), exported.client.key.begin());
  std::ranges::copy(reader.Bytes(kSrtpMasterKeySize), exported.server.key.begin());
  std::ranges::copy(reader.Bytes(salt_size), exported.client.salt.begin());
  std::ranges::copy(reader.Bytes(salt_size), exported.server.salt.begin());
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return exported;
}

void DtlsSession::Fail(DtlsFailure reason) {
  state = DtlsState::kFailed;
  failure = reason;
}

void DtlsSession::FailWithOpenSslError() {
  constexpr int kAlertOffset = SSL_AD_REASON_OFFSET;  // reasons from here on are alerts from the peer
  const int reason = ERR_GET_REASON(ERR_peek_error());
  if (fingerprint_mismatch) {
    Fail(DtlsFailure::kFingerprintMismatch);
  } else if (reason == SSL_R_READ_TIMEOUT_EXPIRED) {
    Fail(DtlsFailure::kTimeout);
  } else {
    Fail(reason >= kAlertOffset ? DtlsFailure::kAlert : DtlsFailure::kProtocol);
  }
  ERR_clear_error();
}

void DtlsSession::UpdateDeadline(Timestamp now) {
  retransmit_at = kNever;
  timeval left{};
  if (state == DtlsState::kConnecting && DTLSv1_get_timeout(ssl, &left) == 1) {
    retransmit_at = now + Duration(int64_t{left.tv_sec} * 1'000'000 + left.tv_usec);
  }
}

void InstallFingerprintCheck(ssl_ctx_st* context) {
  SSL_CTX_set_cert_verify_callback(context, &DtlsSession::VerifyPeer, nullptr);
}

}  // namespace nexus
