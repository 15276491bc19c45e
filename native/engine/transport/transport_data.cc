// Data channels of the peer: SCTP packets between DTLS and the room's data router.
#include "engine/transport/transport.h"

namespace nexus {

void Transport::ConfigureData(const DataSettings& settings, Timestamp now) {
  if (data_) return data_->Update(settings);
  data_ = std::make_unique<DataPeer>(context_, context_.data, *this, settings, now);
  if (dtls_ && dtls_->state() == DtlsState::kConnected) data_->OnConnected();
}

void Transport::ReadData(Timestamp now) {
  while (auto packet = dtls_->PollApplicationData()) {
    if (data_) {
      data_->HandlePacket(*packet, now);
    } else {
      context_.drops.Count(DropReason::kDataNotNegotiated);
    }
  }
}

// Media has its own rate; data takes what it leaves, once a queue has shown that there is not enough for
// both.
void Transport::SendDataPacket(ByteView packet) {
  DataLane& lane = send_->data;
  if (lane.MayPass(last_timeout_)) {
    lane.OnSent(packet.size() + kTypicalOverhead, last_timeout_);
    return SealData(packet);
  }
  if (!lane.Push(packet)) return context_.drops.Count(DropReason::kPacerOverflow);
  Schedule();
}

void Transport::SealData(ByteView packet) {
  if (!dtls_ || !ice_.selected() || !MaySend() || !dtls_->SendApplicationData(packet)) return;
  while (auto datagram = dtls_->PollTransmit()) {
    if (!context_.out.Append(data_cursor_, *ice_.selected(), *datagram)) {
      context_.drops.Count(DropReason::kTransmitOverflow);
    }
  }
}

}  // namespace nexus
