// Why a packet or a datagram went nowhere. Everything that is thrown away is counted under one of these
// words, which are stable: dashboards and tests name them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace nexus {

enum class DropReason : uint8_t {
  kUnknownProtocol,     // not STUN, DTLS, RTP or RTCP (RFC 7983)
  kUnknownUfrag,        // a check for a transport that is not here
  kStunRejected,        // wrong integrity, malformed, an answer nobody waits for
  kStunIndication,      // a keepalive that asks for nothing and proves nothing (RFC 8445 section 11)
  kUnknownAddress,      // DTLS or SRTP from an address without a valid check
  kDtlsClosed,          // DTLS for an association that has ended
  kNoKeys,              // SRTP before DTLS was done
  kSrtpRejected,        // wrong tag, replay, malformed
  kRtpMalformed,        // authenticated, but no RTP packet
  kRtcpMalformed,       // authenticated, but no RTCP packet
  kUnknownSsrc,         // belongs to no track: neither SDP nor MID nor RID tells
  kSsrcTableFull,       // more SSRCs than one transport may have
  kUnknownPayloadType,  // not among the answered codecs
  kCodecKindMismatch,   // video in an audio track or the other way round
  kMuted,               // of a muted track
  kPaddingOnly,         // a probe: feeds the feedback, reaches nobody
  kDuplicate,           // already in the ring
  kTooOld,              // behind the ring
  kTooLarge,            // does not fit the ring
  kLayerNotForwarded,   // of a simulcast layer that no slot shows
  kRedMalformed,        // redundant audio that is none, or of another codec
  kRtxUnusable,         // a retransmission that restores nothing
  kWaitingForKeyframe,  // video to a slot that cannot start with it
  kCodecNotNegotiated,  // the subscriber has no payload type for it
  kResendLimited,       // asked for again by one who has had its share of retransmissions
  kSlotRejected,        // refused by the slot's forwarder: too old, out of line
  kTransportNotReady,   // to a subscriber that is not connected
  kSealFailed,          // encryption failed
  kTransmitOverflow,    // the batch is full
  kPacerOverflow,       // too much waits for the subscriber's path already
  kPacerExpired,        // gone from the ring before the subscriber's path had room
  kEventOverflow,       // events nobody fetched

  kDataNotNegotiated,       // application data of a peer without data channels
  kDataMalformed,           // no DCEP, no envelope, or one that claims a sender
  kDataNoChannel,           // data for no channel, or a channel beyond the limit
  kDataUnknownProtocol,     // a channel of a protocol that is not ours
  kDataTooLarge,            // beyond max-message-size, either way
  kDataNotPermitted,        // without the grant `data`
  kDataUnknownDestination,  // to somebody who is not in the room
  kDataSlowReader,          // a reliable channel that could not keep up was closed
  kDataLossyOverflow,       // a lossy channel that could not keep up

  kRelayCongested,  // the way to another shard is full
  kRelayMalformed,  // a batch of another shard that is none
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
