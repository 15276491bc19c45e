// A peer as an application uses it: media is sent and received by the client's own streams, and jitter
// buffers can play it.
#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "engine/client/jitter_buffer/audio_jitter_buffer.h"
#include "engine/client/jitter_buffer/video_jitter_buffer.h"
#include "testing/emulated_peer.h"
#include "testing/events_of.h"
#include "testing/test_streams.h"

namespace nexus::testing {

// A record of the packets of one stream that the client returned.
struct TakenMedia {
  std::set<int64_t> sequences;
  // The number that arrived first. A receiver requests none below it, though some of those may arrive late.
  std::optional<int64_t> first;
  uint64_t repaired = 0;
  uint64_t opened = 0;
  uint64_t wrong_payload = 0;
  std::set<uint32_t> sources;

  std::vector<int64_t> Missing() const;
};

struct ClientPeerOptions : PeerOptions {
  uint32_t open_one_in = 1;
  std::shared_ptr<SendBandwidth> bandwidth;
};

class ClientPeer : public EmulatedPeer {
 public:
  using Options = ClientPeerOptions;
  using Published = SendStream;
  using ReceivedFrom = ReceiveStream;
  static constexpr bool kMakesMediaByHand = false;

  explicit ClientPeer(ClientPeerOptions options);

  SendStream& Publish(const PublishedStreamOptions& options);
  ReceiveStream& Receive(Ssrc ssrc, std::optional<Ssrc> rtx_ssrc, MediaKind kind);
  void HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp now) override;
  void HandleTimeout(Timestamp now) override;
  Timestamp NextDeadline() const override;

  // A VP8 frame of three packets; a keyframe when one was requested.
  void SendVideoFrame(SendStream& stream, Timestamp now);
  void SendAudio(SendStream& stream, Timestamp now, uint8_t level);

  // Plays one stream of each kind from now on.
  void Play();
  VideoJitterBuffer& screen() { return *screen_; }
  AudioJitterBuffer& speaker() { return *speaker_; }
  const std::vector<VideoFrame>& shown() const { return shown_; }

  const TakenMedia& Taken(const ReceiveStream& stream) { return taken_[stream.config().ssrc]; }
  template <class E>
  std::vector<E> EventsOf() {
    TakeEvents();
    return testing::EventsOf<E>(events_);
  }

 private:
  void TakeEvents();
  void Record(const Received& received);
  void Show(Timestamp now);

  std::unordered_map<Ssrc, TakenMedia> taken_;
  std::vector<ClientEvent> events_;
  std::optional<VideoJitterBuffer> screen_;
  std::optional<AudioJitterBuffer> speaker_;
  std::vector<VideoFrame> shown_;
  ReceiveStream* watched_ = nullptr;
  uint16_t picture_id_ = 30'000;
};

}  // namespace nexus::testing
