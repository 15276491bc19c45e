#include "engine/sctp/data_channels.h"

#include <algorithm>

#include "engine/base/overloaded.h"

namespace nexus {
namespace {

bool IsText(uint32_t ppid) { return ppid == kPpidString || ppid == kPpidStringEmpty; }
bool IsEmpty(uint32_t ppid) { return ppid == kPpidStringEmpty || ppid == kPpidBinaryEmpty; }

}  // namespace

DataChannels::DataChannels(const SctpConfig& config, const DataChannelLimits& limits, bool dtls_client,
                           size_t peer_max_message, SctpWakeList& wake, SctpOwner* owner)
    : limits_(limits),
      config_(config),
      peer_max_message_(peer_max_message),
      first_stream_(dtls_client ? 0 : 1),
      association_(config, wake, owner) {}

const DataChannelOptions* DataChannels::Find(uint16_t stream) const {
  const auto found = channels_.find(stream);
  return found == channels_.end() || found->second.closing ? nullptr : &found->second.options;
}

std::vector<uint16_t> DataChannels::OpenStreams() const {
  std::vector<uint16_t> streams;
  for (const auto& [stream, channel] : channels_) {
    if (!channel.closing) streams.push_back(stream);
  }
  return streams;
}

bool DataChannels::closing_reliable() const {
  return std::ranges::any_of(channels_, [](const auto& entry) {
    const Channel& channel = entry.second;
    return channel.closing && !channel.peer_closed && channel.options.reliable();
  });
}

std::optional<DataChannelEvent> DataChannels::Poll() {
  while (events_.empty()) {
    std::optional<SctpEvent> event = association_.Poll();
    if (!event) return std::nullopt;
    std::visit(Overloaded{
                   [&](SctpMessage& message) { OnMessage(message); },
                   [&](const SctpMessageTooLarge& large) {
                     // The sender exceeded the agreed size (RFC 8841 section 6.1); a reliable channel must
                     // not continue with a gap.
                     Count(DataChannelDrop::kTooLarge);
                     Close(large.stream);
                   },
                   [&](const SctpStreamsReset& reset) { OnReset(reset); },
                   [](const SctpUp&) {},
                   [&](const SctpDown&) { OnDown(); },
               },
               *event);
  }
  DataChannelEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void DataChannels::OnMessage(SctpMessage& message) {
  if (message.ppid == kPpidDcep) return OnDcep(message.stream, message.bytes);
  const auto found = channels_.find(message.stream);
  if (found == channels_.end()) return Count(DataChannelDrop::kUnknownChannel);
  const bool known = IsEmpty(message.ppid) || message.ppid == kPpidString || message.ppid == kPpidBinary;
  if (!known) return Count(DataChannelDrop::kMalformed);
  if (found->second.closing) return;
  // Data from the peer shows that it knows the channel, even if its acknowledgement arrives later.
  found->second.acknowledged = true;
  if (IsEmpty(message.ppid)) message.bytes.clear();
  events_.emplace_back(DataChannelMessage{message.stream, IsText(message.ppid), std::move(message.bytes)});
}

void DataChannels::OnDcep(uint16_t stream, ByteView message) {
  const auto found = channels_.find(stream);
  if (IsDataChannelAck(message)) {
    if (found == channels_.end() || std::exchange(found->second.acknowledged, true)) return;
    events_.emplace_back(DataChannelOpened{stream});
    return;
  }
  std::optional<DataChannelOptions> options = ParseDataChannelOpen(message);
  // RFC 8832 section 6 requires closing a channel whose id is in use or of the wrong parity. Wrong parity is
  // accepted here, as in libwebrtc: werift chooses it by its ICE role instead of its DTLS role. Open() skips
  // ids in use, and if both sides open the same id at once, this closes it.
  if (!options || found != channels_.end()) {
    return RefuseStream(stream, DataChannelDrop::kMalformed);
  }
  if (channels_.size() >= limits_.max_channels) {
    return RefuseStream(stream, DataChannelDrop::kTooManyChannels);
  }
  Channel& channel = channels_[stream];
  channel.options = std::move(*options);
  channel.acknowledged = true;
  Queue(channel, {kPpidDcep, std::make_shared<const std::vector<uint8_t>>(WriteDataChannelAck())});
  Flush();
  events_.emplace_back(DataChannelOpened{stream});
}

// Closes the channel if it exists; otherwise resets the stream.
void DataChannels::RefuseStream(uint16_t stream, DataChannelDrop why) {
  Count(why);
  if (channels_.contains(stream)) return Close(stream);
  resets_due_.insert(stream);
  Flush();
}

// RFC 8831 section 6.7: a side closes by resetting its own direction; the other side answers with its own
// reset.
void DataChannels::OnReset(const SctpStreamsReset& reset) {
  for (const uint16_t stream : reset.streams) {
    const auto found = channels_.find(stream);
    if (found == channels_.end()) continue;
    Channel& channel = found->second;
    if (!reset.incoming) {
      if (channel.closing && channel.peer_closed) Erase(found);
      continue;
    }
    if (!std::exchange(channel.peer_closed, true) && !channel.closing)
      events_.emplace_back(DataChannelClosed{stream});
    if (channel.closing && !resets_due_.contains(stream)) {
      Erase(found);
    } else {
      Close(stream);
    }
  }
}

void DataChannels::OnDown() {
  while (!channels_.empty()) Erase(channels_.begin());
  resets_due_.clear();
  events_.emplace_back(DataChannelsDown{});
}

std::optional<uint16_t> DataChannels::Open(const DataChannelOptions& options) {
  if (!up() || channels_.size() >= limits_.max_channels) return std::nullopt;
  for (uint16_t stream = first_stream_; stream < config_.streams;
       stream = static_cast<uint16_t>(stream + 2)) {
    if (channels_.contains(stream) || resets_due_.contains(stream)) continue;
    Channel& channel = channels_[stream];
    channel.options = options;
    Queue(channel, {kPpidDcep, std::make_shared<const std::vector<uint8_t>>(WriteDataChannelOpen(options))});
    Flush();
    return stream;
  }
  return std::nullopt;
}

DataSendOutcome DataChannels::Send(uint16_t stream, bool text, SharedBytes message) {
  static const SharedBytes kOneByte = std::make_shared<const std::vector<uint8_t>>(1);
  const auto found = channels_.find(stream);
  if (found == channels_.end() || found->second.closing) return DataSendOutcome::kUnknownChannel;
  Channel& channel = found->second;
  if (message->size() > peer_max_message_)
    return Count(DataChannelDrop::kTooLarge), DataSendOutcome::kTooLarge;
  if (channel.options.reliable()) {
    if (channel.queued_bytes + message->size() > limits_.reliable_queue) {
      Count(DataChannelDrop::kSlowReader);
      return DataSendOutcome::kFull;
    }
  } else {
    while (!channel.queue.empty() && channel.queued_bytes + message->size() > limits_.lossy_queue) {
      if (channel.queue.front().ppid == kPpidDcep) break;
      Unqueue(channel);
      Count(DataChannelDrop::kLossyOverflow);
    }
  }
  const bool empty = message->empty();
  const uint32_t ppid =
      text ? (empty ? kPpidStringEmpty : kPpidString) : (empty ? kPpidBinaryEmpty : kPpidBinary);
  Queue(channel, {ppid, empty ? kOneByte : std::move(message)});
  Flush();
  return DataSendOutcome::kQueued;
}

void DataChannels::Close(uint16_t stream) {
  const auto found = channels_.find(stream);
  if (found == channels_.end() || found->second.closing) return;
  found->second.closing = true;
  DropQueue(found->second);
  resets_due_.insert(stream);
  Flush();
}

void DataChannels::Flush() {
  std::erase_if(resets_due_, [&](uint16_t stream) {
    if (!association_.ResetStream(stream)) return false;
    const auto found = channels_.find(stream);
    if (found != channels_.end() && found->second.peer_closed) Erase(found);
    return true;
  });
  if (!up() || queued_bytes_ == 0) return;
  // Each channel in turn sends one message, starting where the last round ended, so that none starves
  // another.
  bool moved = true;
  while (moved) {
    moved = false;
    auto turn = channels_.lower_bound(next_turn_);
    for (size_t i = 0; i < channels_.size(); ++i) {
      if (turn == channels_.end()) turn = channels_.begin();
      if (!turn->second.queue.empty()) {
        if (!SendFront(turn->first, turn->second)) {
          next_turn_ = turn->first;
          return;
        }
        moved = true;
      }
      ++turn;
    }
  }
}

bool DataChannels::SendFront(uint16_t stream, Channel& channel) {
  const Outgoing& front = channel.queue.front();
  SctpSendOptions how;
  how.stream = stream;
  how.ppid = front.ppid;
  how.ordered = channel.options.ordered || !channel.acknowledged || front.ppid == kPpidDcep;
  if (front.ppid != kPpidDcep) {  // RFC 8832 section 6: DCEP itself is reliable and in order
    how.max_retransmits = channel.options.max_retransmits;
    how.max_lifetime_ms = channel.options.max_lifetime_ms;
  }
  const SctpSendOutcome outcome = association_.Send(how, *front.message);
  if (outcome == SctpSendOutcome::kBlocked) return false;
  if (outcome == SctpSendOutcome::kSent) bytes_given_ += front.message->size();
  Unqueue(channel);
  return true;
}

void DataChannels::Queue(Channel& channel, Outgoing outgoing) {
  channel.queued_bytes += outgoing.message->size();
  queued_bytes_ += outgoing.message->size();
  channel.queue.push_back(std::move(outgoing));
  UpdateCongestion(channel);
}

void DataChannels::Unqueue(Channel& channel) {
  const size_t size = channel.queue.front().message->size();
  channel.queue.pop_front();
  channel.queued_bytes -= size;
  queued_bytes_ -= size;
  UpdateCongestion(channel);
}

void DataChannels::UpdateCongestion(Channel& channel) {
  if (!channel.options.reliable()) return;
  const bool before = channel.congested;
  if (channel.queued_bytes > limits_.congested) channel.congested = true;
  if (channel.queued_bytes <= limits_.congested / 2) channel.congested = false;
  if (before != channel.congested) congested_ = before ? congested_ - 1 : congested_ + 1;
}

void DataChannels::DropQueue(Channel& channel) {
  while (!channel.queue.empty()) Unqueue(channel);
}

void DataChannels::Erase(ChannelMap::iterator channel) {
  DropQueue(channel->second);
  channels_.erase(channel);
}

}  // namespace nexus
