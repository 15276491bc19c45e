// The path of one client to its peer: ICE, DTLS-SRTP and the ciphers of both directions (RFC 8445, RFC 5764),
// without a socket. Outgoing datagrams go into the caller's batch, so that thousands of clients share one
// sendmmsg. Incoming datagrams are demultiplexed, authenticated and opened here, and the client handles their
// content.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/dtls/dtls_endpoint.h"
#include "engine/ice/ice_agent.h"
#include "engine/rtp/rtp_packet.h"
#include "engine/srtp/srtp_opener.h"
#include "engine/srtp/srtp_sealer.h"
#include "engine/transmit/run_builder.h"

namespace nexus {

struct ClientTransportConfig {
  IceCredentials ice;
  IceAgentConfig ice_agent;
  std::shared_ptr<const DtlsCertificate> certificate;
  std::vector<SrtpProfile> srtp_profiles = {SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80};
  uint64_t seed = 1;
  DtlsRole dtls_role = DtlsRole::kClient;  // RFC 8842 section 5.3
  // Maximum number of application data records that wait for PollApplicationData; 0: all are dropped.
  size_t max_application_data = 0;
};

// The peer as signaling describes it.
struct ClientRemote {
  IceCredentials ice;
  std::vector<DtlsFingerprint> fingerprints;
  std::vector<IceRemoteCandidate> candidates;
};

enum class ClientState : uint8_t { kNew, kConnecting, kConnected, kClosed, kFailed };
// Reason of its end.
enum class ClientEnd : uint8_t { kNone, kClosedHere, kClosedByPeer, kIceTimeout, kDtlsFailed };

struct ClientTransportCounters {
  uint64_t packets_out = 0;
  uint64_t bytes_out = 0;
  uint64_t packets_in = 0;
  uint64_t bytes_in = 0;
  uint64_t dropped_unknown_protocol = 0;
  uint64_t dropped_unknown_address = 0;  // only STUN is accepted from an address without a check
  uint64_t dropped_no_keys = 0;
  uint64_t dropped_batch_full = 0;
  uint64_t dropped_seal_failed = 0;
};

// A datagram for the client. The bytes are the caller's and are opened in place.
struct IncomingRtp {
  RtpHeader header;
  MutableByteView datagram;  // still sealed: OpenRtp opens it
};
struct IncomingRtcp {
  ByteView packet;  // in clear
};
using Incoming = std::variant<std::monostate, IncomingRtp, IncomingRtcp>;

class ClientTransport {
 public:
  ClientTransport(ClientTransportConfig config, RunBuilder& out);

  void Start(const ClientRemote& remote, Timestamp now);
  void AddRemoteCandidate(const IceRemoteCandidate& candidate, Timestamp now);
  bool RestartIce(IceCredentials local, IceCredentials remote, Timestamp now);
  Incoming HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp now);
  void HandleTimeout(Timestamp now);
  Timestamp next_deadline() const;
  // Sends close_notify if there is a connection.
  void Close();

  ClientState state() const { return state_; }
  ClientEnd end() const { return end_; }
  bool ready() const { return sealer_.has_value() && state_ == ClientState::kConnected; }
  std::optional<SrtpProfile> srtp_profile() const;

  // Returns the plain packet in `incoming.datagram`; nothing when it does not open.
  std::optional<RtpPacketView> OpenRtp(const IncomingRtp& incoming);
  // Seals `prefix` and `payload` behind the header, which stays in clear, into the batch. Returns the bytes
  // sent, 0 when none were.
  size_t SendRtp(ByteView header, ByteView prefix, ByteView payload, uint64_t index);
  bool SendRtcp(ByteView compound);
  // One record of application data, which is one SCTP packet (RFC 8261 section 5).
  bool SendApplicationData(ByteView record);
  std::optional<std::vector<uint8_t>> PollApplicationData();

  const IceAgent& ice() const { return ice_; }
  // The keys that DTLS agreed on; null before.
  const SrtpKeys* srtp_keys() const;
  const SrtpCounters* srtp_counters() const { return opener_ ? &opener_->counters() : nullptr; }
  const ClientTransportCounters& counters() const { return counters_; }

 private:
  void SendSingle(const SocketAddress& to, ByteView bytes);
  void PumpIce(Timestamp now);
  void PumpDtls();
  void End(ClientState state, ClientEnd end);

  ClientTransportConfig config_;
  RunBuilder& out_;
  RunCursor cursor_;
  IceAgent ice_;
  std::optional<DtlsEndpoint> dtls_;
  std::optional<SrtpOpener> opener_;
  std::optional<SrtpSealer> sealer_;
  ClientState state_ = ClientState::kNew;
  ClientEnd end_ = ClientEnd::kNone;
  ClientTransportCounters counters_;
};

}  // namespace nexus
