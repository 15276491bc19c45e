#include "engine/transport/sctp_over_dtls.h"

#include "engine/subscribe/send_queue.h"

namespace nexus {

SctpOverDtls::SctpOverDtls(ShardContext& context, std::optional<DtlsEndpoint>& dtls, const IceLite& ice,
                           TransportSchedule& schedule)
    : context_(context), dtls_(dtls), ice_(ice), schedule_(schedule) {}

void SctpOverDtls::Configure(DataRouter& router, TransportId transport, RoomId room, bool dtls_client,
                             const DataSettings& settings, Timestamp now) {
  if (peer_) return peer_->Update(settings);
  DataPath& path = *this;
  peer_ = std::make_unique<DataPeer>(context_, router, path, transport, room, dtls_client, settings, now);
  if (dtls_ && dtls_->state() == DtlsState::kConnected) peer_->OnConnected();
}

void SctpOverDtls::OnConnected() {
  if (peer_) peer_->OnConnected();
}

void SctpOverDtls::Read(Timestamp now) {
  while (auto packet = dtls_->PollApplicationData()) {
    if (peer_) {
      peer_->HandlePacket(*packet, now);
    } else {
      context_.drops.Count(DropReason::kDataNotNegotiated);
    }
  }
}

// Data is sent at once until the path has shown a queue; then it takes the bandwidth that media leaves.
void SctpOverDtls::SendDataPacket(ByteView packet) {
  const Timestamp now = schedule_.last_timeout();
  if (lane_.MayPass(now)) {
    lane_.OnSent(packet.size() + kTypicalOverhead, now);
    return SealData(packet);
  }
  if (!lane_.Push(packet)) return context_.drops.Count(DropReason::kPacerOverflow);
  schedule_.NoLaterThan(lane_.next());
}

void SctpOverDtls::SendWaiting(Timestamp now) {
  while (lane_.due(now)) {
    const std::vector<uint8_t> packet = lane_.Pop();
    lane_.OnSent(packet.size() + kTypicalOverhead, now);
    SealData(packet);
  }
}

void SctpOverDtls::SealData(ByteView packet) {
  if (!dtls_ || !ice_.selected() || !consent_ || !dtls_->SendApplicationData(packet)) return;
  while (auto datagram = dtls_->PollTransmit()) {
    if (!context_.out.Append(cursor_, *ice_.selected(), *datagram)) {
      context_.drops.Count(DropReason::kTransmitOverflow);
    }
  }
}

void SctpOverDtls::Shutdown() {
  if (peer_) peer_->Shutdown();
}

void SctpOverDtls::Stats(TransportStats& report) const {
  report.pacer_queue_packets += lane_.size();
  report.pacer_queue_bytes += lane_.bytes();
  if (peer_) peer_->Stats(report);
}

}  // namespace nexus
