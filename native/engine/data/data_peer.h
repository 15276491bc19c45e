// One peer's data channels in its room. Messages from the peer get its identity as sender and are routed;
// messages to it are sent on its channel of the same kind.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "engine/control/data_settings.h"
#include "engine/control/shard_context.h"
#include "engine/control/stats.h"
#include "engine/data/token_bucket.h"
#include "engine/sctp/data_channels.h"

namespace nexus {

class DataPath;
class DataRouter;

// A message that is being routed: the envelope with its sender, shared by all recipients.
struct RoutedData {
  SharedBytes message;
  DataChannelOptions kind;  // order and reliability of the channel on which it came
};

class DataPeer final : public SctpOwner {
 public:
  // `dtls_client`: our role, which determines our stream ids (RFC 8832 section 6).
  DataPeer(ShardContext& context, DataRouter& router, DataPath& path, TransportId transport, RoomId room,
           bool dtls_client, DataSettings settings, Timestamp now);
  ~DataPeer();
  DataPeer(const DataPeer&) = delete;
  DataPeer& operator=(const DataPeer&) = delete;

  // Grants may change; the port and the message size do not.
  void Update(const DataSettings& settings);
  // DTLS is connected.
  void OnConnected();
  void HandlePacket(ByteView packet, Timestamp now);
  // Reads messages of the peer as far as its rate and the readers of its room allow. True when some are left.
  bool Read(Timestamp now);
  void Deliver(const RoutedData& data);
  // The router reads a paused peer again at its next tick. False if the peer was paused already.
  bool Pause() { return !std::exchange(paused_, true); }
  // Ends the pause and reads, as `Read` does.
  bool Resume(Timestamp now) {
    paused_ = false;
    return Read(now);
  }
  // Passes packets of SCTP to DTLS, and queued messages to SCTP.
  void Transmit() override;
  // Closes channels of a congested peer that makes no progress while others wait for it.
  void CheckProgress(Timestamp now);
  void Shutdown();

  TransportId transport() const { return transport_; }
  RoomId room() const { return room_; }
  const DataSettings& settings() const { return settings_; }
  bool congested() const { return channels_ && channels_->congested(); }
  bool open() const { return channels_ && channels_->up(); }
  bool paused() const { return paused_; }
  void Stats(TransportStats& report) const;

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
  bool paused_ = false;
  Timestamp progress_checked_ = kNever;
  uint64_t given_before_ = 0;

  uint64_t messages_in_ = 0;
  uint64_t bytes_in_ = 0;
  uint64_t messages_out_ = 0;
  uint64_t bytes_out_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace nexus
