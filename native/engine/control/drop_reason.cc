#include "engine/control/drop_reason.h"

namespace nexus {

std::string_view DropReasonName(DropReason reason) {
  switch (reason) {
    case DropReason::kUnknownProtocol:
      return "unknown_protocol";
    case DropReason::kUnknownUfrag:
      return "unknown_ufrag";
    case DropReason::kStunRejected:
      return "stun_rejected";
    case DropReason::kStunIndication:
      return "stun_indication";
    case DropReason::kUnknownAddress:
      return "unknown_address";
    case DropReason::kDtlsClosed:
      return "dtls_closed";
    case DropReason::kNoKeys:
      return "no_keys";
    case DropReason::kSrtpRejected:
      return "srtp_rejected";
    case DropReason::kRtpMalformed:
      return "rtp_malformed";
    case DropReason::kRtcpMalformed:
      return "rtcp_malformed";
    case DropReason::kUnknownSsrc:
      return "unknown_ssrc";
    case DropReason::kSsrcTableFull:
      return "ssrc_table_full";
    case DropReason::kUnknownPayloadType:
      return "unknown_payload_type";
    case DropReason::kCodecKindMismatch:
      return "codec_kind_mismatch";
    case DropReason::kMuted:
      return "muted";
    case DropReason::kPaddingOnly:
      return "padding_only";
    case DropReason::kDuplicate:
      return "duplicate";
    case DropReason::kTooOld:
      return "too_old";
    case DropReason::kTooLarge:
      return "too_large";
    case DropReason::kLayerNotForwarded:
      return "layer_not_forwarded";
    case DropReason::kRedMalformed:
      return "red_malformed";
    case DropReason::kRtxUnusable:
      return "rtx_unusable";
    case DropReason::kWaitingForKeyframe:
      return "waiting_for_keyframe";
    case DropReason::kCodecNotNegotiated:
      return "codec_not_negotiated";
    case DropReason::kResendLimited:
      return "resend_limited";
    case DropReason::kSlotRejected:
      return "slot_rejected";
    case DropReason::kTransportNotReady:
      return "transport_not_ready";
    case DropReason::kSealFailed:
      return "seal_failed";
    case DropReason::kTransmitOverflow:
      return "transmit_overflow";
    case DropReason::kPacerOverflow:
      return "pacer_overflow";
    case DropReason::kPacerExpired:
      return "pacer_expired";
    case DropReason::kDataNotNegotiated:
      return "data_not_negotiated";
    case DropReason::kDataMalformed:
      return "data_malformed";
    case DropReason::kDataNoChannel:
      return "data_no_channel";
    case DropReason::kDataUnknownProtocol:
      return "data_unknown_protocol";
    case DropReason::kDataTooLarge:
      return "data_too_large";
    case DropReason::kDataNotPermitted:
      return "data_not_permitted";
    case DropReason::kDataUnknownDestination:
      return "data_unknown_destination";
    case DropReason::kDataSlowReader:
      return "data_slow_reader";
    case DropReason::kDataLossyOverflow:
      return "data_lossy_overflow";
    case DropReason::kEventOverflow:
      return "event_overflow";
    case DropReason::kRelayCongested:
      return "relay_congested";
    case DropReason::kRelayMalformed:
      return "relay_malformed";
    case DropReason::kRelayRefused:
      return "relay_refused";
    case DropReason::kCount:
      break;
  }
  return "none";
}

}  // namespace nexus
