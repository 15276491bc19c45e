#include "engine/data/data_peer.h"

#include "engine/data/data_path.h"
#include "engine/data/data_router.h"
#include "engine/sctp/data_envelope.h"

namespace nexus {
namespace {

// Least progress of a congested peer in this time; channels of a slower one are closed.
constexpr Duration kPatience = std::chrono::seconds(2);
constexpr uint64_t kLeastProgress = 32u << 10;

DropReason ReasonFor(DataChannelDrop drop) {
  switch (drop) {
    case DataChannelDrop::kMalformed:
      return DropReason::kDataMalformed;
    case DataChannelDrop::kUnknownChannel:
    case DataChannelDrop::kTooManyChannels:
      return DropReason::kDataNoChannel;
    case DataChannelDrop::kTooLarge:
      return DropReason::kDataTooLarge;
    case DataChannelDrop::kSlowReader:
      return DropReason::kDataSlowReader;
    case DataChannelDrop::kLossyOverflow:
      return DropReason::kDataLossyOverflow;
    case DataChannelDrop::kCount:
      break;
  }
  return DropReason::kDataMalformed;
}

SctpConfig SctpConfigFrom(const DataSettings& settings) {
  SctpConfig config;
  config.remote_port = settings.remote_port;
  return config;
}

}  // namespace

DataPeer::DataPeer(ShardContext& context, DataRouter& router, DataPath& path, TransportId transport,
                   RoomId room, bool dtls_client, DataSettings settings, Timestamp now)
    : context_(context),
      router_(router),
      path_(path),
      transport_(transport),
      room_(room),
      dtls_client_(dtls_client),
      settings_(std::move(settings)),
      messages_allowed_(context.config.data_messages_per_second, context.config.data_messages_per_second,
                        now),
      bytes_allowed_(context.config.data_bytes_per_second, context.config.data_bytes_per_second, now) {
  router_.Add(*this);
}

DataPeer::~DataPeer() { router_.Remove(*this); }

void DataPeer::Update(const DataSettings& settings) {
  settings_.publish = settings.publish;
  settings_.receive = settings.receive;
  settings_.participant = settings.participant;
}

void DataPeer::OnConnected() {
  if (channels_) return;
  const uint64_t longest = settings_.max_message_size == 0 ? UINT64_MAX : settings_.max_message_size;
  channels_.emplace(SctpConfigFrom(settings_), context_.config.data_limits, dtls_client_, longest,
                    router_.wake_list(), this);
  channels_->Connect();
}

void DataPeer::HandlePacket(ByteView packet, Timestamp now) {
  if (!channels_) return context_.drops.Count(DropReason::kDataNotNegotiated);
  channels_->HandlePacket(packet);
  channels_->Flush();
  router_.OnActivity(now);
  if (Read(now)) router_.Pause(*this);
  CountDrops();
}

bool DataPeer::Read(Timestamp now) {
  if (!channels_) return false;
  while (true) {
    // Reading stops while the peer exceeds its rate or a participant of the room cannot keep up. Its SCTP
    // window closes, and the queue grows in its own application.
    const bool allowed = messages_allowed_.available(now) && bytes_allowed_.available(now);
    if (!allowed || router_.Congested(*this)) return true;
    std::optional<DataChannelEvent> event = channels_->Poll();
    if (!event) return false;
    if (const auto* message = std::get_if<DataChannelMessage>(&*event)) {
      messages_allowed_.Take(1);
      bytes_allowed_.Take(static_cast<double>(message->bytes.size()));
      OnMessage(*message);
    } else if (const auto* opened = std::get_if<DataChannelOpened>(&*event)) {
      OnOpened(opened->stream);
    }
  }
}

void DataPeer::OnOpened(uint16_t stream) {
  const DataChannelOptions* options = channels_->Find(stream);
  if (options == nullptr || options->protocol == kDataProtocol) return;
  Drop(DropReason::kDataUnknownProtocol);  // its messages have no destination
  channels_->Close(stream);
}

void DataPeer::OnMessage(const DataChannelMessage& message) {
  ++messages_in_;
  bytes_in_ += message.bytes.size();
  if (!settings_.publish) return Drop(DropReason::kDataNotPermitted);
  const DataChannelOptions* channel = channels_->Find(message.stream);
  std::optional<DataEnvelope> envelope = ParseDataEnvelope(message.bytes);
  // The sender is filled in here: an envelope that names one, or that claims to be the server's, is an
  // attack.
  const bool forged = envelope && (!envelope->sender.empty() || envelope->from_server || envelope->directed);
  if (channel == nullptr || !envelope || forged) return Drop(DropReason::kDataMalformed);
  const std::vector<std::string_view> destinations = std::exchange(envelope->destinations, {});
  envelope->sender = settings_.participant;
  envelope->directed = !destinations.empty();
  RoutedData data;
  data.kind = *channel;
  data.message = std::make_shared<const std::vector<uint8_t>>(WriteDataEnvelope(*envelope));
  if (destinations.empty()) return router_.ToRoom(*this, data);
  for (const std::string_view destination : destinations) {
    if (!router_.ToParticipant(*this, destination, data)) Drop(DropReason::kDataUnknownDestination);
  }
}

// The peer's channel of the same kind, whichever side opened it; else a new one of our own.
std::optional<uint16_t> DataPeer::StreamFor(const DataChannelOptions& kind) {
  for (const uint16_t stream : channels_->OpenStreams()) {
    const DataChannelOptions* options = channels_->Find(stream);
    if (options->protocol != kDataProtocol || options->ordered != kind.ordered) continue;
    if (options->reliable() == kind.reliable()) return stream;
  }
  // After a channel was closed for being slow, the peer must first read what was sent before a new one opens;
  // else the room would wait again.
  if (kind.reliable() && channels_->closing_reliable())
    return Drop(DropReason::kDataSlowReader), std::nullopt;
  DataChannelOptions options = kind;
  options.protocol = kDataProtocol;
  const std::optional<uint16_t> opened = channels_->Open(options);
  if (!opened) Drop(DropReason::kDataNoChannel);
  return opened;
}

void DataPeer::Deliver(const RoutedData& data) {
  // Messages to a peer that is not connected are lost, as they are to a participant who joins later.
  if (!settings_.receive || !open()) return;
  const std::optional<uint16_t> stream = StreamFor(data.kind);
  if (!stream) return;  // counted there
  switch (channels_->Send(*stream, /*text=*/false, data.message)) {
    case DataSendOutcome::kQueued:
      ++messages_out_;
      bytes_out_ += data.message->size();
      break;
    case DataSendOutcome::kFull:
      CloseSlow(*stream);
      break;
    case DataSendOutcome::kUnknownChannel:
      Drop(DropReason::kDataNoChannel);
      break;
    case DataSendOutcome::kTooLarge:
      break;  // counted there
  }
  CountDrops();
}

// A reliable channel that would miss a message is closed instead, so that its application notices.
void DataPeer::CloseSlow(uint16_t stream) {
  channels_->Close(stream);
  progress_checked_ = kNever;
}

void DataPeer::CheckProgress(Timestamp now) {
  if (!congested()) {
    progress_checked_ = kNever;
    return;
  }
  if (progress_checked_ == kNever) {
    progress_checked_ = now;
    given_before_ = channels_->bytes_given();
    return;
  }
  if (now - progress_checked_ < kPatience) return;
  const uint64_t progress = channels_->bytes_given() - given_before_;
  progress_checked_ = kNever;
  if (progress >= kLeastProgress) return;
  for (const uint16_t stream : channels_->OpenStreams()) {
    if (channels_->Find(stream)->reliable()) CloseSlow(stream);
  }
  Drop(DropReason::kDataSlowReader);
}

void DataPeer::Transmit() {
  if (!channels_) return;
  channels_->Flush();
  while (auto packet = channels_->PollTransmit()) path_.SendDataPacket(*packet);
  CountDrops();
}

void DataPeer::Shutdown() {
  if (!channels_) return;
  channels_->Abort();
  while (auto packet = channels_->PollTransmit()) path_.SealData(*packet);
}

void DataPeer::Drop(DropReason reason, uint64_t by) {
  context_.drops.Count(reason, by);
  dropped_ += by;
}

void DataPeer::CountDrops() {
  const DataChannelDrops drops = channels_->TakeDrops();
  for (size_t i = 0; i < drops.size(); ++i) {
    if (drops[i] > 0) Drop(ReasonFor(static_cast<DataChannelDrop>(i)), drops[i]);
  }
}

void DataPeer::Stats(TransportStats& report) const {
  report.data_messages_in = messages_in_;
  report.data_bytes_in = bytes_in_;
  report.data_messages_out = messages_out_;
  report.data_bytes_out = bytes_out_;
  report.data_messages_dropped = dropped_;
}

}  // namespace nexus
