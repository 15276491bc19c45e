// SCTP over one transport's DTLS (RFC 8261): the peer's packets go to its data channels, and packets to the
// peer are sent at once or wait for the bandwidth that media leaves.
#pragma once

#include <memory>
#include <optional>

#include "engine/data/data_lane.h"
#include "engine/data/data_path.h"
#include "engine/data/data_peer.h"
#include "engine/dtls/dtls_endpoint.h"
#include "engine/ice/ice_lite.h"
#include "engine/subscribe/transport_schedule.h"

namespace nexus {

class SctpOverDtls final : private DataPath {
 public:
  // `dtls` is empty until the handshake begins. `ice` knows the peer's address.
  SctpOverDtls(ShardContext& context, std::optional<DtlsEndpoint>& dtls, const IceLite& ice,
               TransportSchedule& schedule);

  // The first call creates the peer's data channels, later ones update its grants. `dtls_client`: our role.
  void Configure(DataRouter& router, TransportId transport, RoomId room, bool dtls_client,
                 const DataSettings& settings, Timestamp now);
  // DTLS is connected.
  void OnConnected();
  void SetConsent(bool given) { consent_ = given; }
  // Reads the application data that DTLS has received.
  void Read(Timestamp now);
  // To be called after every change of the estimate; `media_bps` of it is allocated to media.
  void OnEstimate(int64_t estimate_bps, int64_t media_bps, bool congested, Timestamp now) {
    lane_.OnEstimate(estimate_bps, media_bps, congested, now);
  }
  // Transport-wide feedback was negotiated or withdrawn: the limit ends until the next estimate. Waiting
  // packets are dropped, and SCTP sends them again.
  void ForgetEstimate() { lane_ = DataLane(); }
  // Sends waiting packets that are due.
  void SendWaiting(Timestamp now);
  // When waiting packets are due.
  Timestamp next_deadline() const { return lane_.next(); }
  // Ends the association of SCTP.
  void Shutdown();
  // Adds the counters of data channels and of waiting packets.
  void Stats(TransportStats& report) const;

 private:
  void SendDataPacket(ByteView packet) override;
  void SealData(ByteView packet) override;

  ShardContext& context_;
  std::optional<DtlsEndpoint>& dtls_;
  const IceLite& ice_;
  TransportSchedule& schedule_;
  bool consent_ = true;
  DataLane lane_;
  RunCursor cursor_;
  std::unique_ptr<DataPeer> peer_;
};

}  // namespace nexus
