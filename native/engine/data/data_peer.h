// One peer's data channels in its room: what it sends is stamped with who it is and routed, what others send
// is put on the channel of the same kind.
#pragma once

#include <memory>
#include <optional>

#include "engine/control/data_settings.h"
#include "engine/control/report.h"
#include "engine/control/shard_context.h"
#include "engine/data/token_bucket.h"
#include "engine/sctp/data_channels.h"

namespace nexus {

class DataPath;
class DataRouter;

// A message on its way: the envelope with its sender filled in, once for all who get it.
struct RoutedData {
  SharedBytes message;
  DataChannelOptions kind;  // the channel that it came by: order and reliability are kept
};

class DataPeer {
 public:
  // `dtls_client`: our role, which says whose the even streams are (RFC 8832 section 6).
  DataPeer(ShardContext& context, DataRouter& router, DataPath& path, TransportId transport, RoomId room,
           bool dtls_client, DataSettings settings, Timestamp now);
  ~DataPeer();
  DataPeer(const DataPeer&) = delete;
  DataPeer& operator=(const DataPeer&) = delete;

  // Grants may change, the association's own numbers do not.
  void Update(const DataSettings& settings);
  // DTLS is up.
  void OnConnected();
  void HandlePacket(ByteView packet, Timestamp now);
  // Takes what the peer sent as far as its rate and its room's readers allow. True when it stopped before the
  // end.
  bool Read(Timestamp now);
  void Deliver(const RoutedData& data);
  // Packets that SCTP made, into the transport's DTLS; and what waits for room in SCTP.
  void Transmit();
  // A peer that others wait for must take something: called while it is congested.
  void CheckProgress(Timestamp now);
  void Shutdown();

  TransportId transport() const { return transport_; }
  RoomId room() const { return room_; }
  const DataSettings& settings() const { return settings_; }
  bool congested() const { return channels_ && channels_->congested(); }
  bool open() const { return channels_ && channels_->up(); }
  bool paused = false;
  void Report(TransportReport& report) const;

 private:
  void OnMessage(const DataChannelMessage& message);
  void OnOpened(uint16_t stream);
  std::optional<uint16_t> StreamFor(const DataChannelOptions& kind);
  void CloseSlow(uint16_t stream);
  void CountDrops();
  void Drop(DropReason reason, uint64_t by = 1);

  ShardContext& context_;
  DataRouter& router_;
  DataPath& path_;
  TransportId transport_;
  RoomId room_;
  bool dtls_client_;
  DataSettings settings_;
  std::optional<DataChannels> channels_;
  TokenBucket messages_allowed_;
  TokenBucket bytes_allowed_;
  Timestamp progress_checked_ = kNever;
  uint64_t given_before_ = 0;

  uint64_t messages_in_ = 0;
  uint64_t bytes_in_ = 0;
  uint64_t messages_out_ = 0;
  uint64_t bytes_out_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace nexus
