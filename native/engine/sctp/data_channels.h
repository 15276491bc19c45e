// The data channels of one peer (RFC 8831): opening by DCEP, closing by stream reset, whole messages, and a
// bounded queue for each channel in front of SCTP.
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
  // Of each channel, waiting for SCTP. Reliable: beyond it a message is refused and the channel is to be
  // closed, for it cannot keep its promise. Lossy: the oldest make room; both parts of the largest message
  // have their place (data_envelope.h).
  size_t reliable_queue = 1u << 20;
  size_t lossy_queue = 288u << 10;
  // Above it a reliable channel is congested, below half of it no more.
  size_t congested = 512u << 10;
};

struct DataChannelMessage {
  uint16_t stream = 0;
  bool text = false;
  std::vector<uint8_t> bytes;
};
// By the peer, or the peer's answer to ours.
struct DataChannelOpened {
  uint16_t stream = 0;
};
struct DataChannelClosed {
  uint16_t stream = 0;
};
// The association is over; all channels with it.
struct DataChannelsDown {};
using DataChannelEvent =
    std::variant<DataChannelMessage, DataChannelOpened, DataChannelClosed, DataChannelsDown>;

enum class DataChannelDrop : uint8_t {
  kMalformed,        // no DCEP, an unknown payload protocol, an opening that is not served
  kUnknownChannel,   // data on a stream without a channel
  kTooManyChannels,  // an opening beyond the limit
  kTooLarge,         // longer than max-message-size, either way
  kSlowReader,       // a reliable queue is full
  kLossyOverflow,    // a lossy queue was full: the oldest made room
  kCount,
};
using DataChannelDrops = std::array<uint64_t, static_cast<size_t>(DataChannelDrop::kCount)>;

enum class DataSendOutcome : uint8_t { kQueued, kUnknownChannel, kFull, kTooLarge };
using SharedBytes = std::shared_ptr<const std::vector<uint8_t>>;

class DataChannels {
 public:
  // `dtls_client`: which half of the stream ids is ours to open (RFC 8832 section 6). `peer_max_message`: the
  // peer's `a=max-message-size` (RFC 8841 section 6).
  DataChannels(const SctpConfig& config, const DataChannelLimits& limits, bool dtls_client,
               size_t peer_max_message, SctpWakeList& wake, void* owner);

  void Connect() { association_.Connect(); }
  void HandlePacket(ByteView packet) { association_.HandlePacket(packet); }
  std::optional<std::vector<uint8_t>> PollTransmit() { return association_.PollTransmit(); }
  // The next event. Who stops asking stops the peer, by its window.
  std::optional<DataChannelEvent> Poll();
  // Gives SCTP what it has room for; after packets came, time went by, or something was sent.
  void Flush();

  // A channel of our own; it may be sent on at once. Nothing when there are too many or no association yet.
  std::optional<uint16_t> Open(const DataChannelOptions& options);
  DataSendOutcome Send(uint16_t stream, bool text, SharedBytes message);
  void Close(uint16_t stream);
  void Abort() { association_.Abort(); }

  bool up() const { return association_.up(); }
  // Null for one that is not there or is closing.
  const DataChannelOptions* Find(uint16_t stream) const;
  std::vector<uint16_t> OpenStreams() const;
  // We closed a reliable channel and the peer has not yet taken what was sent before.
  bool closing_reliable() const;
  bool congested() const { return congested_ > 0; }
  size_t queued_bytes() const { return queued_bytes_; }
  // Messages that were queued and not yet given to SCTP.
  uint64_t bytes_given() const { return bytes_given_; }
  size_t channel_count() const { return channels_.size(); }
  // What was dropped since the last call.
  DataChannelDrops TakeDrops() { return std::exchange(drops_, {}); }

 private:
  struct Outgoing {
    uint32_t ppid = 0;
    SharedBytes message;
  };
  struct Channel {
    DataChannelOptions options;
    bool acknowledged = false;  // until then everything is sent in order (RFC 8832 section 6)
    bool closing = false;       // our reset was asked for
    bool peer_closed = false;
    bool congested = false;
    size_t queued_bytes = 0;
    std::deque<Outgoing> queue;
  };
  using ChannelMap = std::map<uint16_t, Channel>;

  std::optional<DataChannelEvent> OnMessage(SctpMessage&& message);
  std::optional<DataChannelEvent> OnDcep(uint16_t stream, ByteView message);
  std::optional<DataChannelEvent> OnReset(const SctpStreamsReset& reset);
  std::optional<DataChannelEvent> OnDown();
  void Queue(Channel& channel, Outgoing outgoing);
  // False when SCTP has no more room.
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
  std::deque<DataChannelEvent> events_;  // closed streams, when one reset names several
  uint16_t next_turn_ = 0;               // the stream that Flush begins with
  size_t congested_ = 0;
  size_t queued_bytes_ = 0;
  uint64_t bytes_given_ = 0;
  DataChannelDrops drops_{};
  SctpAssociation association_;
};

}  // namespace nexus
