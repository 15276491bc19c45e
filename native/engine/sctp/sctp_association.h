// One SCTP association over DTLS (RFC 8261), for data channels: packets in, packets out, whole messages
// between. It knows streams and reliability, not channels.
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
  // Bytes of an SCTP packet: a datagram of 1,200, less at most 65 of DTLS (CBC suites; 37 with GCM).
  size_t mtu = 1'132;
  // Both ways. A browser's ids count up by two and are used again after a channel was closed.
  uint16_t streams = 64;
  // What is taken from the peer before it is read: its window (RFC 9260 section 3.3.3), and the bound of
  // reassembly.
  size_t receive_buffer = 512u << 10;
  // What was given to SCTP and not yet acknowledged; a message must fit.
  size_t send_buffer = 320u << 10;
  size_t max_message = 256u << 10;  // of the peer; longer ones are thrown away whole
  size_t max_packets = 1'024;       // waiting for PollTransmit
};

struct SctpMessage {
  uint16_t stream = 0;
  uint32_t ppid = 0;
  std::vector<uint8_t> bytes;
};
// A message longer than `max_message` came; its bytes are gone.
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
  // RFC 7496 and RFC 3758: one of them at most; none: reliable.
  std::optional<uint32_t> max_retransmits;
  std::optional<uint32_t> max_lifetime_ms;
};

enum class SctpSendOutcome : uint8_t { kSent, kBlocked, kFailed };

class SctpAssociation {
 public:
  // `owner` is the caller's own mark, found again by who takes the wake list.
  SctpAssociation(SctpConfig config, SctpWakeList& wake, void* owner);
  ~SctpAssociation();
  SctpAssociation(const SctpAssociation&) = delete;
  SctpAssociation& operator=(const SctpAssociation&) = delete;

  // Both sides do so (RFC 8831 section 6.2 leaves it to them): whose INIT gets through is of no matter.
  void Connect();
  void HandlePacket(ByteView packet);
  std::optional<std::vector<uint8_t>> PollTransmit();

  // The next thing that happened. Who does not ask closes the peer's window, in time.
  std::optional<SctpEvent> Poll();
  SctpSendOutcome Send(const SctpSendOptions& options, ByteView message);
  // Closes our direction of a stream, once all that was sent there has arrived. False: another reset is under
  // way, try again later.
  bool ResetStream(uint16_t stream);
  // ABORT to the peer, and the end.
  void Abort();

  void* owner() const { return owner_; }
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
  void* owner_;
  void* name_ = nullptr;
  struct socket* socket_ = nullptr;
  SctpOutbox outbox_;
  bool up_ = false;
  bool down_told_ = false;
  // The message whose parts are coming. Parts of different messages of one association do not mix (RFC 9260
  // section 6.9; I-DATA of RFC 8260 is not used), so one is enough.
  std::vector<uint8_t> partial_;
  bool partial_too_large_ = false;
};

}  // namespace nexus
