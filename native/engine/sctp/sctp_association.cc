#include "engine/sctp/sctp_association.h"

#include <arpa/inet.h>
#include <usrsctp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace nexus {
namespace {

// Maximum size of one usrsctp_recvv; a longer message is read in parts.
constexpr size_t kReadSize = 64u << 10;

sockaddr_conn AddressOf(void* name, uint16_t port) {
  sockaddr_conn address{};
  address.sconn_family = AF_CONN;
  address.sconn_port = htons(port);
  address.sconn_addr = name;
  return address;
}

template <class Value>
bool SetOption(struct socket* so, int level, int option, const Value& value) {
  return usrsctp_setsockopt(so, level, option, &value, sizeof(value)) == 0;
}

}  // namespace

SctpAssociation::SctpAssociation(SctpConfig config, SctpWakeList& wake, SctpOwner* owner)
    : config_(config), owner_(owner) {
  outbox_.max_packets = config_.max_packets;
  SctpStack& stack = SctpStack::Get();
  const std::lock_guard lock(stack.mutex());
  name_ = stack.Register(*this, outbox_, wake);
  if (Open() || socket_ == nullptr) return;
  usrsctp_close(socket_);
  socket_ = nullptr;
}

SctpAssociation::~SctpAssociation() {
  SctpStack& stack = SctpStack::Get();
  const std::lock_guard lock(stack.mutex());
  stack.Unregister(name_);
  if (socket_ != nullptr) usrsctp_close(socket_);
}

bool SctpAssociation::Open() {
  socket_ = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, nullptr, nullptr, 0, nullptr);
  if (socket_ == nullptr || !SetOptions()) return false;
  sockaddr_conn local = AddressOf(name_, config_.local_port);
  return usrsctp_bind(socket_, reinterpret_cast<sockaddr*>(&local), sizeof(local)) == 0;
}

bool SctpAssociation::SetOptions() {
  if (usrsctp_set_non_blocking(socket_, 1) != 0) return false;
  // Closing sends an ABORT at once, so that no state lingers for a peer that is gone.
  linger abort_on_close{};
  abort_on_close.l_onoff = 1;
  bool ok = SetOption(socket_, SOL_SOCKET, SO_LINGER, abort_on_close);
  ok = ok && SetOption(socket_, SOL_SOCKET, SO_RCVBUF, static_cast<int>(config_.receive_buffer));
  ok = ok && SetOption(socket_, SOL_SOCKET, SO_SNDBUF, static_cast<int>(config_.send_buffer));
  ok = ok && SetOption(socket_, IPPROTO_SCTP, SCTP_RECVRCVINFO, int{1});
  ok = ok && SetOption(socket_, IPPROTO_SCTP, SCTP_NODELAY, int{1});  // no delay for bundling
  sctp_initmsg init{};
  init.sinit_num_ostreams = config_.streams;
  init.sinit_max_instreams = config_.streams;
  ok = ok && SetOption(socket_, IPPROTO_SCTP, SCTP_INITMSG, init);
  sctp_assoc_value reset{};
  reset.assoc_id = SCTP_ALL_ASSOC;
  reset.assoc_value = 1;  // RFC 6525 section 5.1: we reset our streams and answer the peer's resets
  ok = ok && SetOption(socket_, IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, reset);
  sctp_paddrparams path{};
  path.spp_address.ss_family = AF_CONN;
  path.spp_flags = SPP_PMTUD_DISABLE | SPP_HB_DISABLE;  // the transport detects whether the peer is alive
  path.spp_pathmtu = static_cast<uint32_t>(config_.mtu - sizeof(sctp_common_header));
  ok = ok && SetOption(socket_, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, path);
  for (const uint16_t type : {SCTP_ASSOC_CHANGE, SCTP_STREAM_RESET_EVENT, SCTP_PARTIAL_DELIVERY_EVENT}) {
    sctp_event event{};
    event.se_assoc_id = SCTP_ALL_ASSOC;
    event.se_type = type;
    event.se_on = 1;
    ok = ok && SetOption(socket_, IPPROTO_SCTP, SCTP_EVENT, event);
  }
  return ok;
}

void SctpAssociation::Connect() {
  const std::lock_guard lock(SctpStack::Get().mutex());
  if (socket_ == nullptr) return;
  sockaddr_conn remote = AddressOf(name_, config_.remote_port);
  usrsctp_connect(socket_, reinterpret_cast<sockaddr*>(&remote), sizeof(remote));  // always EINPROGRESS
}

void SctpAssociation::HandlePacket(ByteView packet) {
  const std::lock_guard lock(SctpStack::Get().mutex());
  if (socket_ != nullptr) usrsctp_conninput(name_, packet.data(), packet.size(), 0);
}

std::optional<std::vector<uint8_t>> SctpAssociation::PollTransmit() {
  const std::lock_guard lock(SctpStack::Get().mutex());
  if (outbox_.packets.empty()) return std::nullopt;
  std::vector<uint8_t> packet = std::move(outbox_.packets.front());
  outbox_.packets.pop_front();
  return packet;
}

std::optional<SctpEvent> SctpAssociation::Poll() {
  static thread_local std::array<uint8_t, kReadSize> buffer;
  const std::lock_guard lock(SctpStack::Get().mutex());
  while (socket_ != nullptr) {
    sockaddr_conn from{};
    socklen_t from_size = sizeof(from);
    sctp_rcvinfo info{};
    socklen_t info_size = sizeof(info);
    unsigned int info_type = 0;
    int flags = 0;
    const ssize_t size =
        usrsctp_recvv(socket_, buffer.data(), buffer.size(), reinterpret_cast<sockaddr*>(&from), &from_size,
                      &info, &info_size, &info_type, &flags);
    if (size < 0 && (errno == EWOULDBLOCK || errno == EAGAIN || errno == EINTR)) return std::nullopt;
    // Before the association is up there is nothing to read.
    if (size < 0 && !up_ && errno == ENOTCONN) return std::nullopt;
    if (size <= 0) return OnDown();
    const ByteView bytes = ByteView(buffer).first(static_cast<size_t>(size));
    std::optional<SctpEvent> event;
    if ((flags & MSG_NOTIFICATION) != 0) {
      event = OnNotification(bytes);
    } else if (info_type == SCTP_RECVV_RCVINFO) {
      event = OnData(info.rcv_sid, ntohl(info.rcv_ppid), bytes, (flags & MSG_EOR) != 0);
    }
    if (event) return event;
  }
  return std::nullopt;
}

std::optional<SctpEvent> SctpAssociation::OnData(uint16_t stream, uint32_t ppid, ByteView bytes, bool last) {
  if (partial_.size() + bytes.size() > config_.max_message) {
    partial_too_large_ = true;
    partial_ = {};
  }
  if (!partial_too_large_) partial_.insert(partial_.end(), bytes.begin(), bytes.end());
  if (!last) return std::nullopt;
  if (std::exchange(partial_too_large_, false)) return SctpMessageTooLarge{stream};
  return SctpMessage{stream, ppid, std::exchange(partial_, {})};
}

std::optional<SctpEvent> SctpAssociation::OnNotification(ByteView bytes) {
  // The structs are in the machine's byte order; only the bytes that are present are copied.
  sctp_notification notification{};
  std::memcpy(&notification, bytes.data(), std::min(bytes.size(), sizeof(notification)));
  switch (notification.sn_header.sn_type) {
    case SCTP_ASSOC_CHANGE:
      if (notification.sn_assoc_change.sac_state == SCTP_COMM_UP) {
        up_ = true;
        return SctpUp{};
      }
      // A restart (RFC 9260 section 5.2) would reset streams of open channels; no browser does it.
      return OnDown();
    case SCTP_PARTIAL_DELIVERY_EVENT:  // the rest of a lossy message will not arrive
      partial_.clear();
      partial_too_large_ = false;
      return std::nullopt;
    case SCTP_STREAM_RESET_EVENT:
      break;
    default:
      return std::nullopt;
  }
  const sctp_stream_reset_event& reset = notification.sn_strreset_event;
  if ((reset.strreset_flags & (SCTP_STREAM_RESET_DENIED | SCTP_STREAM_RESET_FAILED)) != 0)
    return std::nullopt;
  SctpStreamsReset event;
  event.incoming = (reset.strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN) != 0;
  for (size_t at = sizeof(sctp_stream_reset_event); at + sizeof(uint16_t) <= bytes.size();
       at += sizeof(uint16_t)) {
    uint16_t stream = 0;
    std::memcpy(&stream, bytes.data() + at, sizeof(stream));
    event.streams.push_back(stream);
  }
  return event;
}

std::optional<SctpEvent> SctpAssociation::OnDown() {
  up_ = false;
  if (socket_ != nullptr) usrsctp_close(std::exchange(socket_, nullptr));
  if (std::exchange(down_reported_, true)) return std::nullopt;
  return SctpDown{};
}

SctpSendOutcome SctpAssociation::Send(const SctpSendOptions& options, ByteView message) {
  const std::lock_guard lock(SctpStack::Get().mutex());
  if (socket_ == nullptr || !up_) return SctpSendOutcome::kFailed;
  sctp_sendv_spa how{};
  how.sendv_flags = SCTP_SEND_SNDINFO_VALID;
  how.sendv_sndinfo.snd_sid = options.stream;
  how.sendv_sndinfo.snd_ppid = htonl(options.ppid);
  how.sendv_sndinfo.snd_flags = options.ordered ? SCTP_EOR : SCTP_EOR | SCTP_UNORDERED;
  if (options.max_retransmits || options.max_lifetime_ms) {
    how.sendv_flags |= SCTP_SEND_PRINFO_VALID;
    how.sendv_prinfo.pr_policy = options.max_retransmits ? SCTP_PR_SCTP_RTX : SCTP_PR_SCTP_TTL;
    how.sendv_prinfo.pr_value = options.max_retransmits ? *options.max_retransmits : *options.max_lifetime_ms;
  }
  const ssize_t sent = usrsctp_sendv(socket_, message.data(), message.size(), nullptr, 0, &how, sizeof(how),
                                     SCTP_SENDV_SPA, 0);
  if (sent >= 0) return SctpSendOutcome::kSent;
  return errno == EWOULDBLOCK || errno == EAGAIN ? SctpSendOutcome::kBlocked : SctpSendOutcome::kFailed;
}

bool SctpAssociation::ResetStream(uint16_t stream) {
  const std::lock_guard lock(SctpStack::Get().mutex());
  if (socket_ == nullptr || !up_) return true;
  alignas(sctp_reset_streams) std::array<uint8_t, sizeof(sctp_reset_streams) + sizeof(uint16_t)> bytes{};
  auto* request = reinterpret_cast<sctp_reset_streams*>(bytes.data());
  request->srs_assoc_id = SCTP_ALL_ASSOC;
  request->srs_flags = SCTP_STREAM_RESET_OUTGOING;
  request->srs_number_streams = 1;
  std::memcpy(bytes.data() + sizeof(sctp_reset_streams), &stream, sizeof(stream));
  const bool done =
      usrsctp_setsockopt(socket_, IPPROTO_SCTP, SCTP_RESET_STREAMS, bytes.data(), sizeof(bytes)) == 0;
  return done || (errno != EALREADY && errno != EAGAIN && errno != EBUSY);
}

void SctpAssociation::Abort() {
  const std::lock_guard lock(SctpStack::Get().mutex());
  up_ = false;
  if (socket_ != nullptr) usrsctp_close(std::exchange(socket_, nullptr));
}

}  // namespace nexus
