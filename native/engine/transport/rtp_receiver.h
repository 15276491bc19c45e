// Receiver of RTP from one peer: packets are opened (SRTP), recorded for feedback, stored in the published
// layer to which they belong, and delivered. Owns the keys of this direction, the peer's published tracks and
// their SSRCs.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/forward/twcc_recorder.h"
#include "engine/media/negotiated_media.h"
#include "engine/publish/published_track.h"
#include "engine/publish/track_publisher.h"
#include "engine/srtp/srtp_opener.h"
#include "engine/subscribe/fan_out.h"

namespace nexus {

class RtpReceiver {
 public:
  // `publisher` is the transport of the peer.
  RtpReceiver(ShardContext& context, FanOut& fan_out, const NegotiatedMedia& negotiated,
              TrackPublisher& publisher)
      : context_(context), fan_out_(fan_out), negotiated_(negotiated), publisher_(publisher) {}

  // DTLS has provided the keys.
  void Open(SrtpProfile profile, const SrtpKeyMaterial& keys) {
    opener_.emplace(profile, keys, SrtpOpenerConfig{.library = context_.config.gcm});
  }
  bool open() const { return opener_.has_value(); }

  // `received`: the time of the kernel. True when the packet was authentic and no replay. Drops are counted.
  bool HandleRtp(MutableByteView datagram, Timestamp received, Timestamp now);
  // The opened compound packet; nothing when it is not authentic or a replay, which is counted.
  std::optional<ByteView> OpenRtcp(MutableByteView datagram);
  void OnSenderReport(const SenderReport& report, Timestamp now);

  // Null, with a reason, when it is refused.
  PublishedTrack* AddTrack(TrackId id, const TrackSettings& settings, std::string_view& refusal);
  void RemoveTrack(PublishedTrack& track);
  void Clear() { tracks_.clear(); }
  const std::vector<std::unique_ptr<PublishedTrack>>& tracks() const { return tracks_; }
  // True while an audio track of this owner is not silent.
  bool Speaks(ParticipantNumber owner, Timestamp now) const;

  TwccRecorder& twcc() { return twcc_; }
  const TwccRecorder& twcc() const { return twcc_; }
  // The SSRC of the last packet with a transport-wide number.
  Ssrc last_media_ssrc() const { return last_media_ssrc_; }
  size_t ssrc_count() const { return ssrcs_.size(); }
  uint64_t packets() const { return packets_; }
  uint64_t bytes() const { return bytes_; }

 private:
  struct SsrcBinding {
    PublishedLayer* layer = nullptr;
    bool rtx = false;
  };

  SsrcBinding Resolve(const RtpHeader& header, const IncomingExtensions& extensions, Timestamp now);
  SsrcBinding Learn(const RtpHeader& header, const IncomingExtensions& extensions, Timestamp now);
  PublishedTrack* TrackByMid(std::string_view mid) const;
  PublishedTrack* TrackByPayloadType(PayloadType type) const;
  void HandleMedia(PublishedLayer& layer, const RtpPacketView& packet, const IncomingExtensions& extensions,
                   Timestamp received, Timestamp now, bool repaired);
  // Delivers lost audio that `red` recovers, before its primary.
  void DeliverRecovered(PublishedLayer& layer, const RedPacket& red, const SourcePacket& primary,
                        Timestamp now);
  void HandleRetransmission(PublishedLayer& layer, const RtpPacketView& packet, Timestamp received,
                            Timestamp now);
  void ForgetLayer(const PublishedLayer& layer);

  ShardContext& context_;
  FanOut& fan_out_;
  const NegotiatedMedia& negotiated_;
  TrackPublisher& publisher_;
  std::optional<SrtpOpener> opener_;
  std::vector<std::unique_ptr<PublishedTrack>> tracks_;
  std::unordered_map<Ssrc, SsrcBinding> ssrcs_;
  RemoteClockOffset remote_clock_;
  TwccRecorder twcc_;
  Ssrc last_media_ssrc_;
  uint64_t packets_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace nexus
