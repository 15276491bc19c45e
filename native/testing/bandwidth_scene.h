// A call for send-side bandwidth estimation: one publisher with audio and a video of three encodings, and
// subscribers behind links of their own. Used by tests and by bench/network.py.
#pragma once

#include "testing/test_call.h"

namespace nexus::testing {

struct BandwidthSceneOptions {
  EmulatedCallOptions call;
  int subscribers = 1;
  bool transport_feedback = true;
  bool receiver_reports = true;
  bool rtx = true;                 // the subscribers negotiate retransmissions
  std::vector<PictureSize> sizes;  // of the encodings, as the publisher announces them
};

struct SceneShare {
  int64_t lowest_estimate = INT64_MAX;
  int64_t highest_estimate = 0;
  int64_t mean_estimate = 0;
  int64_t sent_bps = 0;               // to the first subscriber observed, on the wire
  std::vector<int64_t> received_bps;  // of each subscriber
  double loss = 0;                    // at the bottleneck
  double utilisation = 0;
  Duration longest_queue{0};
  int layer_changes = 0;
};

class BandwidthScene {
 public:
  explicit BandwidthScene(BandwidthSceneOptions options);

  // Puts one link in front of all subscribers in `who`.
  std::shared_ptr<Bottleneck> Narrow(const std::vector<size_t>& who, int64_t bps, size_t queue_bytes);
  void SetConditions(size_t who, const LinkConditions& conditions);
  void Prefer(size_t who, const SlotView& view);

  // The encoding that the subscriber received last, by the marks in payloads; -1: none recently.
  int Spatial(size_t who) const;
  ReceivedStream& video(size_t who) { return *subscribers[who]->slots[1].stream; }
  ReceivedStream& audio(size_t who) { return *subscribers[who]->slots[0].stream; }
  // Share of audio packets that never arrived.
  double AudioLoss(size_t who);
  // Number of video packets that never arrived, except for those of the last second.
  size_t Unrepaired(size_t who);
  // Share of the packets sampled in the interval that arrived at most `late` after the earliest possible
  // time, given the delay from the server.
  double DeliveredWithin(size_t who, Timestamp from, Timestamp until, Duration late, Duration last_leg);
  TransportStats Stats(size_t who);
  SceneShare Observe(size_t who, Duration duration, Duration step = std::chrono::milliseconds(50));

  TestCall call;
  Member* publisher = nullptr;
  std::vector<Member*> subscribers;
  std::shared_ptr<Bottleneck> link;
};

}  // namespace nexus::testing
