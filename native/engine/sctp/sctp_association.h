// One SCTP association over DTLS (RFC 8261) for data channels: packets in and out, complete messages between.
// It handles streams and reliability, but not channels.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/sctp/sctp_stack.h"

struct socket;

namespace nexus {

struct SctpConfig {
  uint16_t local_port = 5000;
  uint16_t remote_port = 5000;  // RFC 8841 section 5: `a=sctp-port`
  // Maximum size of an SCTP packet: a datagram of 1,200 bytes, less at most 65 for DTLS (CBC suites; 37 with
  // GCM).
  size_t mtu = 1'132;
  // Number of streams in each direction. A browser's ids count up by two and are reused after a channel was
  // closed.
  uint16_t streams = 64;
  // Maximum amount of unread data from the peer: its window (RFC 9260 section 3.3.3) and the bound of
  // reassembly.
  size_t receive_buffer = 512u << 10;
  // Maximum amount of unacknowledged data; a message must fit.
  size_t send_buffer = 320u << 10;
  size_t max_message = 256u << 10;  // maximum size of a peer's message; longer ones are discarded
  size_t max_packets = 1'024;       // maximum number that waits for PollTransmit
};

struct SctpMessage {
  uint16_t stream = 0;
  uint32_t ppid = 0;
  std::vector<uint8_t> bytes;
};
// A message longer than `max_message` arrived and was discarded.
struct SctpMessageTooLarge {
  uint16_t stream = 0;
};
// RFC 6525. Incoming: the peer closed its direction of these streams; outgoing: ours are closed.
struct SctpStreamsReset {
  std::vector<uint16_t> streams;
  bool incoming = false;
};
struct SctpUp {};
struct SctpDown {};
using SctpEvent = std::variant<SctpMessage, SctpMessageTooLarge, SctpStreamsReset, SctpUp, SctpDown>;

struct SctpSendOptions {
  uint16_t stream = 0;
  uint32_t ppid = 0;
  bool ordered = true;
  // RFC 7496 and RFC 3758: at most one is set; none: reliable.
  std::optional<uint32_t> max_retransmits;
  std::optional<uint32_t> max_lifetime_ms;
};

enum class SctpSendOutcome : uint8_t { kSent, kBlocked, kFailed };

class SctpAssociation {
 public:
  // `owner` outlives the association. Null if nothing reads the wake list.
  SctpAssociation(SctpConfig config, SctpWakeList& wake, SctpOwner* owner);
  ~SctpAssociation();
  SctpAssociation(const SctpAssociation&) = delete;
  SctpAssociation& operator=(const SctpAssociation&) = delete;

  // Both sides connect (RFC 8831 section 6.2 leaves this open); it does not matter whose INIT arrives first.
  void Connect();
  void HandlePacket(ByteView packet);
  std::optional<std::vector<uint8_t>> PollTransmit();

  // The next event. If the caller stops polling, the peer's window closes in time.
  std::optional<SctpEvent> Poll();
  SctpSendOutcome Send(const SctpSendOptions& options, ByteView message);
  // Closes our direction of a stream, once everything sent on it has arrived. False if another reset is in
  // progress: try again later.
  bool ResetStream(uint16_t stream);
  // Sends an ABORT and ends the association.
  void Abort();

  SctpOwner* owner() const { return owner_; }
  bool up() const { return up_; }
  uint64_t packets_dropped() const { return outbox_.dropped; }

 private:
  friend class SctpWakeList;
  bool Open();
  bool SetOptions();
  std::optional<SctpEvent> OnNotification(ByteView bytes);
  std::optional<SctpEvent> OnData(uint16_t stream, uint32_t ppid, ByteView bytes, bool last);
  std::optional<SctpEvent> OnDown();

  SctpConfig config_;
  SctpOwner* owner_;
  void* name_ = nullptr;
  struct socket* socket_ = nullptr;
  SctpOutbox outbox_;
  bool up_ = false;
  bool down_reported_ = false;
  // The message that is being received. Fragments of different messages of one association are not
  // interleaved (RFC 9260 section 6.9; I-DATA of RFC 8260 is not used), so one buffer is enough.
  std::vector<uint8_t> partial_;
  bool partial_too_large_ = false;
};

}  // namespace nexus
