// A scene for send-side bandwidth: one publisher with a voice and a camera in three encodings, subscribers
// who watch it through links of their own. Used by tests and by the report in bench/.
#pragma once

#include "testing/emulated_call.h"

namespace nexus::testing {

struct BandwidthSceneOptions {
  EmulatedCallOptions call;
  int subscribers = 1;
  bool transport_feedback = true;
  bool receiver_reports = true;
  bool rtx = true;                 // the subscribers take retransmissions
  std::vector<PictureSize> sizes;  // of the encodings, as told
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

  // One link for all of `who`.
  std::shared_ptr<Bottleneck> Narrow(const std::vector<size_t>& who, int64_t bps, size_t queue_bytes);
  void SetConditions(size_t who, const LinkConditions& conditions);
  void Prefer(size_t who, const SlotPreferences& preferences);

  // Which encoding the subscriber saw last, by the marks in the payload; -1: none lately.
  int Spatial(size_t who) const;
  ReceivedStream& video(size_t who) { return *subscribers[who]->slots[1].stream; }
  ReceivedStream& audio(size_t who) { return *subscribers[who]->slots[0].stream; }
  // Of audio packets that never came.
  double AudioLoss(size_t who);
  // Video packets that never came, less the last second's.
  size_t Unrepaired(size_t who);
  // Share of the packets sampled in the time that came within `late` after they could have come at best, with
  // this delay on the way from the server.
  double DeliveredWithin(size_t who, Timestamp from, Timestamp until, Duration late, Duration last_leg);
  TransportReport Report(size_t who);
  SceneShare Observe(size_t who, Duration duration, Duration step = std::chrono::milliseconds(50));

  EmulatedCall call;
  Member* publisher = nullptr;
  std::vector<Member*> subscribers;
  std::shared_ptr<Bottleneck> link;
};

}  // namespace nexus::testing
