// The data channels of one peer (RFC 8831): opened by DCEP, closed by stream reset, with complete messages
// and a bounded queue per channel in front of SCTP.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "engine/sctp/dcep.h"
#include "engine/sctp/sctp_association.h"

namespace nexus {

struct DataChannelLimits {
  size_t max_channels = 32;
  // Bounds of a channel's queue in bytes. Above the reliable bound a message is refused, and the channel
  // should be closed, because it is no longer reliable. Above the lossy bound the oldest messages are
  // dropped; both parts of the largest message fit (data_envelope.h).
  size_t reliable_queue = 1u << 20;
  size_t lossy_queue = 288u << 10;
  // A reliable channel is congested above this bound, until it falls below half of it.
  size_t congested = 512u << 10;
};

struct DataChannelMessage {
  uint16_t stream = 0;
  bool text = false;
  std::vector<uint8_t> bytes;
};
// A channel was opened by the peer, or the peer has acknowledged ours.
struct DataChannelOpened {
  uint16_t stream = 0;
};
struct DataChannelClosed {
  uint16_t stream = 0;
};
// The association has ended, and all channels with it.
struct DataChannelsDown {};
using DataChannelEvent =
    std::variant<DataChannelMessage, DataChannelOpened, DataChannelClosed, DataChannelsDown>;

enum class DataChannelDrop : uint8_t {
  kMalformed,        // not DCEP, an unknown payload protocol, or an unsupported opening
  kUnknownChannel,   // data on a stream without a channel
  kTooManyChannels,  // an opening beyond the limit
  kTooLarge,         // longer than max-message-size, either way
  kSlowReader,       // a reliable queue is full
  kLossyOverflow,    // a lossy queue was full: the oldest message was dropped
  kCount,
};
using DataChannelDrops = std::array<uint64_t, static_cast<size_t>(DataChannelDrop::kCount)>;

enum class DataSendOutcome : uint8_t { kQueued, kUnknownChannel, kFull, kTooLarge };
using SharedBytes = std::shared_ptr<const std::vector<uint8_t>>;

class DataChannels {
 public:
  // `dtls_client`: determines the parity of the stream ids that we open (RFC 8832 section 6).
  // `peer_max_message`: the peer's `a=max-message-size` (RFC 8841 section 6).
  DataChannels(const SctpConfig& config, const DataChannelLimits& limits, bool dtls_client,
               size_t peer_max_message, SctpWakeList& wake, SctpOwner* owner);

  void Connect() { association_.Connect(); }
  void HandlePacket(ByteView packet) { association_.HandlePacket(packet); }
  std::optional<std::vector<uint8_t>> PollTransmit() { return association_.PollTransmit(); }
  // The next event. If the caller stops polling, the peer's window closes and it stops sending.
  std::optional<DataChannelEvent> Poll();
  // Passes queued messages to SCTP. To be called after packets arrived, time passed or messages were sent.
  void Flush();

  // Opens a channel, which can be used at once. Nothing if there are too many, or before the association is
  // up.
  std::optional<uint16_t> Open(const DataChannelOptions& options);
  DataSendOutcome Send(uint16_t stream, bool text, SharedBytes message);
  void Close(uint16_t stream);
  void Abort() { association_.Abort(); }

  bool up() const { return association_.up(); }
  // Null if the channel does not exist or is closing.
  const DataChannelOptions* Find(uint16_t stream) const;
  std::vector<uint16_t> OpenStreams() const;
  // True if we closed a reliable channel and the peer has not yet received everything sent before.
  bool closing_reliable() const;
  bool congested() const { return congested_ > 0; }
  size_t queued_bytes() const { return queued_bytes_; }
  // Bytes of the messages passed to SCTP.
  uint64_t bytes_given() const { return bytes_given_; }
  size_t channel_count() const { return channels_.size(); }
  // Drops since the last call.
  DataChannelDrops TakeDrops() { return std::exchange(drops_, {}); }

 private:
  struct Outgoing {
    uint32_t ppid = 0;
    SharedBytes message;
  };
  struct Channel {
    DataChannelOptions options;
    bool acknowledged = false;  // until then everything is sent in order (RFC 8832 section 6)
    bool closing = false;       // our reset was requested
    bool peer_closed = false;
    bool congested = false;
    size_t queued_bytes = 0;
    std::deque<Outgoing> queue;
  };
  using ChannelMap = std::map<uint16_t, Channel>;

  // Each adds what it means to `events_`.
  void OnMessage(SctpMessage& message);
  void OnDcep(uint16_t stream, ByteView message);
  void OnReset(const SctpStreamsReset& reset);
  void OnDown();
  void Queue(Channel& channel, Outgoing outgoing);
  // False if SCTP has no room.
  bool SendFront(uint16_t stream, Channel& channel);
  void Unqueue(Channel& channel);
  void UpdateCongestion(Channel& channel);
  void DropQueue(Channel& channel);
  void Erase(ChannelMap::iterator channel);
  void RefuseStream(uint16_t stream, DataChannelDrop why);
  void Count(DataChannelDrop why) { ++drops_[static_cast<size_t>(why)]; }

  DataChannelLimits limits_;
  SctpConfig config_;
  size_t peer_max_message_;
  uint16_t first_stream_;
  ChannelMap channels_;
  std::set<uint16_t> resets_due_;
  std::deque<DataChannelEvent> events_;  // not yet polled
  uint16_t next_turn_ = 0;               // the stream with which Flush begins
  size_t congested_ = 0;
  size_t queued_bytes_ = 0;
  uint64_t bytes_given_ = 0;
  DataChannelDrops drops_{};
  SctpAssociation association_;
};

}  // namespace nexus
