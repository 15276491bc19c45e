#include "engine/client/client_transport.h"

#include <algorithm>
#include <utility>

#include "engine/rtp/demultiplexer.h"

namespace nexus {

ClientTransport::ClientTransport(ClientTransportConfig config, RunBuilder& out)
    : config_(std::move(config)), out_(out), ice_(config_.ice, config_.ice_agent, config_.seed) {}

void ClientTransport::Start(const ClientRemote& remote, Timestamp now) {
  if (state_ != ClientState::kNew) return;
  state_ = ClientState::kConnecting;
  DtlsConfig dtls;
  dtls.role = config_.dtls_role;
  dtls.certificate = config_.certificate;
  dtls.remote_fingerprints = remote.fingerprints;
  dtls.profiles = config_.srtp_profiles;
  dtls.max_received = config_.max_application_data;
  dtls_.emplace(std::move(dtls));
  ice_.Start(remote.ice, now);
  for (const IceRemoteCandidate& candidate : remote.candidates) ice_.AddRemoteCandidate(candidate, now);
  PumpIce(now);
}

void ClientTransport::AddRemoteCandidate(const IceRemoteCandidate& candidate, Timestamp now) {
  ice_.AddRemoteCandidate(candidate, now);
  PumpIce(now);
}

bool ClientTransport::RestartIce(IceCredentials local, IceCredentials remote, Timestamp now) {
  const bool ended = state_ == ClientState::kClosed || state_ == ClientState::kFailed;
  if (ended || !ice_.Restart(std::move(local), std::move(remote), now)) return false;
  PumpIce(now);
  return true;
}

Incoming ClientTransport::HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp now) {
  if (state_ != ClientState::kConnecting && state_ != ClientState::kConnected) return {};
  counters_.bytes_in += datagram.size();
  ++counters_.packets_in;
  const Protocol protocol = Demultiplex(datagram);
  if (protocol == Protocol::kUnknown) return ++counters_.dropped_unknown_protocol, Incoming{};
  if (protocol == Protocol::kStun) {
    ice_.HandleStun(datagram, from, now);
    PumpIce(now);
    // RFC 8445 section 12.1: a valid pair is enough to send on, nominated or not.
    if (ice_.selected() && dtls_->state() == DtlsState::kNew) {
      dtls_->Start(now);
      PumpDtls();
    }
    return {};
  }
  if (!ice_.IsValidated(from)) return ++counters_.dropped_unknown_address, Incoming{};
  if (protocol == Protocol::kDtls) {
    dtls_->HandleDatagram(datagram, now);
    PumpDtls();
    return {};
  }
  if (!opener_) return ++counters_.dropped_no_keys, Incoming{};
  if (protocol == Protocol::kRtp) {
    const auto header = ParseRtpHeader(datagram);
    if (!header) return {};
    return IncomingRtp{*header, datagram};
  }
  const auto size = opener_->OpenRtcp(datagram);
  if (!size) return {};
  return IncomingRtcp{datagram.first(*size)};
}

std::optional<RtpPacketView> ClientTransport::OpenRtp(const IncomingRtp& incoming) {
  const auto size = opener_->OpenRtp(incoming.datagram, incoming.header.header_size);
  if (!size) return std::nullopt;
  return CompleteRtp(incoming.header, incoming.datagram.first(*size));
}

void ClientTransport::SendSingle(const SocketAddress& to, ByteView bytes) {
  if (!out_.AppendSingle(to, bytes)) {
    ++counters_.dropped_batch_full;
    return;
  }
  ++counters_.packets_out;
  counters_.bytes_out += bytes.size();
}

void ClientTransport::PumpIce(Timestamp now) {
  while (const auto message = ice_.PollTransmit(now)) SendSingle(message->to, message->bytes);
}

void ClientTransport::PumpDtls() {
  while (const auto datagram = dtls_->PollTransmit()) {
    if (ice_.selected()) SendSingle(*ice_.selected(), *datagram);
  }
  switch (dtls_->state()) {
    case DtlsState::kConnected:
      if (opener_) break;
      if (const auto& keys = dtls_->srtp_keys()) {
        const bool client = config_.dtls_role == DtlsRole::kClient;
        opener_.emplace(keys->profile, client ? keys->server : keys->client);
        sealer_.emplace(keys->profile, client ? keys->client : keys->server);
        state_ = ClientState::kConnected;
      }
      break;
    case DtlsState::kClosed:
      End(ClientState::kClosed, ClientEnd::kClosedByPeer);
      break;
    case DtlsState::kFailed:
      End(ClientState::kFailed, ClientEnd::kDtlsFailed);
      break;
    case DtlsState::kNew:
    case DtlsState::kConnecting:
      break;
  }
}

void ClientTransport::End(ClientState state, ClientEnd end) {
  if (state_ == ClientState::kClosed || state_ == ClientState::kFailed) return;
  state_ = state;
  end_ = end;
}

void ClientTransport::HandleTimeout(Timestamp now) {
  if (state_ != ClientState::kConnecting && state_ != ClientState::kConnected) return;
  ice_.HandleTimeout(now);
  if (ice_.state() == IceAgentState::kFailed) return End(ClientState::kFailed, ClientEnd::kIceTimeout);
  PumpIce(now);
  if (now >= dtls_->next_deadline()) {
    dtls_->HandleTimeout(now);
    PumpDtls();
  }
}

Timestamp ClientTransport::next_deadline() const {
  if (state_ != ClientState::kConnecting && state_ != ClientState::kConnected) return kNever;
  return std::min(ice_.next_deadline(), dtls_->next_deadline());
}

void ClientTransport::Close() {
  if (state_ == ClientState::kClosed || state_ == ClientState::kFailed) return;
  if (dtls_) {
    dtls_->Close();
    while (const auto datagram = dtls_->PollTransmit()) {
      if (ice_.selected()) SendSingle(*ice_.selected(), *datagram);
    }
  }
  End(ClientState::kClosed, ClientEnd::kClosedHere);
}

std::optional<SrtpProfile> ClientTransport::srtp_profile() const {
  if (!sealer_) return std::nullopt;
  return sealer_->profile();
}

const SrtpKeys* ClientTransport::srtp_keys() const {
  if (!dtls_) return nullptr;
  const auto& keys = dtls_->srtp_keys();
  return keys ? &*keys : nullptr;
}

bool ClientTransport::SendApplicationData(ByteView record) {
  if (!ready() || !dtls_->SendApplicationData(record)) return false;
  PumpDtls();
  return true;
}

std::optional<std::vector<uint8_t>> ClientTransport::PollApplicationData() {
  if (!dtls_) return std::nullopt;
  return dtls_->PollApplicationData();
}

size_t ClientTransport::SendRtp(ByteView header, ByteView prefix, ByteView payload, uint64_t index) {
  if (!ready() || !ice_.selected()) return 0;
  const MutableByteView room =
      out_.Reserve(header.size() + prefix.size() + payload.size() + kSrtpMaxRtpOverhead);
  if (room.empty()) return ++counters_.dropped_batch_full, 0;
  const size_t size = sealer_->SealRtp(header, prefix, payload, index, room);
  if (size == 0) return ++counters_.dropped_seal_failed, 0;
  out_.Commit(cursor_, *ice_.selected(), size);
  ++counters_.packets_out;
  counters_.bytes_out += size;
  return size;
}

bool ClientTransport::SendRtcp(ByteView compound) {
  if (!ready() || !ice_.selected() || compound.empty()) return false;
  const MutableByteView room = out_.Reserve(compound.size() + kSrtpMaxRtcpOverhead);
  if (room.empty()) return ++counters_.dropped_batch_full, false;
  const size_t size = sealer_->SealRtcp(compound, room);
  if (size == 0) return ++counters_.dropped_seal_failed, false;
  out_.Commit(cursor_, *ice_.selected(), size);
  ++counters_.packets_out;
  counters_.bytes_out += size;
  return true;
}

}  // namespace nexus
