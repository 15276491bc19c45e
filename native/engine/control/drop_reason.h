// Reasons for dropping a packet or a datagram. Every drop is counted under one of these words, which are
// stable: dashboards and tests name them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace nexus {

enum class DropReason : uint8_t {
  kUnknownProtocol,     // not STUN, DTLS, RTP or RTCP (RFC 7983)
  kUnknownUfrag,        // a check for a transport that is not here
  kStunRejected,        // wrong integrity, malformed, a response without a request
  kStunIndication,      // a keepalive, which proves nothing (RFC 8445 section 11)
  kUnknownAddress,      // DTLS or SRTP from an address without a valid check
  kDtlsClosed,          // DTLS for an association that has ended
  kNoKeys,              // SRTP before DTLS was done
  kSrtpRejected,        // wrong tag, replay, malformed
  kRtpMalformed,        // authenticated, but not an RTP packet
  kRtcpMalformed,       // authenticated, but not an RTCP packet
  kUnknownSsrc,         // belongs to no track by SDP, MID or RID
  kSsrcTableFull,       // more SSRCs than one transport may have
  kUnknownPayloadType,  // not among the answered codecs
  kCodecKindMismatch,   // video in an audio track or the other way round
  kMuted,               // a packet of a muted track
  kPaddingOnly,         // a probe: counts for feedback, is not forwarded
  kDuplicate,           // already in the ring
  kTooOld,              // older than what the ring holds
  kTooLarge,            // does not fit the ring
  kLayerNotForwarded,   // a packet of a simulcast layer that no slot shows
  kRedMalformed,        // malformed redundant audio, or of another codec
  kRtxUnusable,         // a retransmission that restores nothing
  kWaitingForKeyframe,  // video to a slot that cannot start with it
  kCodecNotNegotiated,  // the subscriber has no payload type for it
  kResendLimited,       // beyond the subscriber's budget of retransmissions
  kSlotRejected,        // refused by the slot's forwarder: too old, out of line
  kTransportNotReady,   // to a subscriber that is not connected
  kSealFailed,          // encryption failed
  kTransmitOverflow,    // the batch is full
  kPacerOverflow,       // the subscriber's send queue is full
  kPacerExpired,        // gone from the ring before its turn to be sent
  kEventOverflow,       // events that were not fetched

  kDataNotNegotiated,       // application data of a peer without data channels
  kDataMalformed,           // no DCEP, no envelope, or an envelope that claims a sender
  kDataNoChannel,           // data for no channel, or a channel beyond the limit
  kDataUnknownProtocol,     // a channel with another subprotocol
  kDataTooLarge,            // beyond max-message-size, either way
  kDataNotPermitted,        // without the grant `data`
  kDataUnknownDestination,  // to a participant who is not in the room
  kDataSlowReader,          // a reliable channel that could not keep up was closed
  kDataLossyOverflow,       // a lossy channel that could not keep up

  kRelayCongested,  // the queue to another shard is full
  kRelayMalformed,  // a malformed batch of another shard
  kRelayRefused,    // a track of another shard: no such room, or too many
  kCount,
};
inline constexpr size_t kDropReasonCount = static_cast<size_t>(DropReason::kCount);

std::string_view DropReasonName(DropReason reason);

class DropCounters {
 public:
  void Count(DropReason reason, uint64_t by = 1) { counts_[static_cast<size_t>(reason)] += by; }
  uint64_t operator[](DropReason reason) const { return counts_[static_cast<size_t>(reason)]; }
  const std::array<uint64_t, kDropReasonCount>& all() const { return counts_; }

 private:
  std::array<uint64_t, kDropReasonCount> counts_{};
};

}  // namespace nexus
