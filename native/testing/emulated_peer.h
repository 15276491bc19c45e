// One participant of an emulated call: a nexus::Client, its address on the emulated network and its
// description for signaling. Kinds of peers differ in how they make media and in what they record of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/client/client.h"
#include "engine/control/command.h"
#include "testing/emulated_network.h"

namespace nexus::testing {

struct PeerOptions {
  SocketAddress address;
  uint64_t seed = 1;
  std::vector<SrtpProfile> profiles = {SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80};
  Codec video = Codec::kVp8;         // the negotiated codec; test peers make VP8 whatever it is
  uint8_t first_payload_type = 96;   // of video; the types of its RTX, Opus and RED follow
  bool red = false;                  // negotiates redundant audio (RFC 2198)
  uint8_t first_extension_id = 1;    // of audio level; abs-send-time, TWCC, MID, RID, repaired RID follow
  bool descriptors = false;          // negotiates dependency descriptors, whose id follows the others
  bool descriptors_to_slots = true;  // negotiates them for its slots too
  Duration ntp_offset{0};            // of the peer's wall clock
  std::shared_ptr<const DtlsCertificate> certificate;
  DtlsRole dtls = DtlsRole::kClient;
  bool transport_feedback = true;  // reports what it receives (TWCC)
  bool receiver_reports = true;
  std::vector<IceRemoteCandidate> candidates;  // tried besides the server's address
  // The fingerprint that signaling gives it instead of the server's; empty: the server's.
  std::string expected_fingerprint;
  // The fingerprint that signaling gives the server instead of the peer's; empty: the peer's.
  std::string announced_fingerprint;
};

// The server as an answer describes it.
struct ServerDescription {
  IceCredentials ice;
  std::string fingerprint;  // sha-256
  SocketAddress address;
};

class EmulatedPeer {
 public:
  virtual ~EmulatedPeer() = default;
  EmulatedPeer(const EmulatedPeer&) = delete;
  EmulatedPeer& operator=(const EmulatedPeer&) = delete;

  // Settings of this peer's transport, as signaling passes them on.
  TransportSettings Settings() const;
  void Connect(const ServerDescription& server, Timestamp now);
  // New credentials of this peer and of the server.
  void RestartIce(const IceCredentials& local, const IceCredentials& server, Timestamp now);

  virtual void HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp now) = 0;
  virtual void HandleTimeout(Timestamp now);
  virtual Timestamp NextDeadline() const;
  virtual std::vector<Datagram> TakeDatagrams();

  Client& client() { return client_; }
  const Client& client() const { return client_; }
  bool connected() const { return client_.state() == ClientState::kConnected; }
  std::optional<SrtpProfile> profile() const { return client_.transport().srtp_profile(); }
  const SocketAddress& address() const { return options_.address; }
  const PeerOptions& options() const { return options_; }
  PayloadType opus_payload_type() const { return PayloadTypeAt(2); }
  PayloadType red_payload_type() const { return PayloadTypeAt(3); }

  void Close() { client_.Close(); }
  // From now on the peer has another address and does not know it: a NAT has rebound it.
  void MoveTo(const SocketAddress& address) { options_.address = address; }
  // The peer stops sending and receiving, as when a laptop is closed.
  void Vanish() { vanished_ = true; }
  bool vanished() const { return vanished_; }
  // ICE checks stop and everything else continues, as with clients that keep a path open by indications or
  // media.
  void StopChecks() { checks_stopped_ = true; }
  void ResumeChecks() { checks_stopped_ = false; }
  // Sends any datagram to the server.
  void SendRaw(std::vector<uint8_t> datagram);

  uint64_t datagrams_received = 0;

 protected:
  // Fields of `config` that the options do not set are used.
  EmulatedPeer(PeerOptions options, ClientConfig config);

  // Gives a datagram to the client, which opens it in place.
  std::optional<Received> GiveToClient(MutableByteView datagram, const SocketAddress& from, Timestamp now);
  PayloadType PayloadTypeAt(uint8_t place) const {
    return PayloadType{static_cast<uint8_t>(options_.first_payload_type + place)};
  }

 private:
  void Drain();

  PeerOptions options_;
  IceCredentials local_;
  SocketAddress server_;
  RunBuilder batch_;
  Client client_;
  std::vector<Datagram> outgoing_;
  bool vanished_ = false;
  bool checks_stopped_ = false;
};

}  // namespace nexus::testing
