// Interface to the publisher of a track: a transport of this shard, or a relay from the shard of that
// transport.
#pragma once

#include "engine/audio/slot_placement.h"
#include "engine/base/ids.h"
#include "engine/publish/layer_demand.h"

namespace nexus {

class PublishedTrack;

class TrackPublisher {
 public:
  virtual ~TrackPublisher() = default;

  virtual TransportId id() const = 0;
  virtual RoomId room() const = 0;
  // A request to the publisher is pending: for a keyframe or a packet.
  virtual void Schedule() = 0;
  // The first slot has subscribed to the track, or the last one has left.
  virtual void OnInterest(PublishedTrack&, bool /*wanted*/) {}
  // The layer demand has changed. False: the control side is to tell the publisher.
  virtual bool OnDemand(PublishedTrack&, const LayerDemand&) { return false; }
  // True while an audio track of this owner is not silent.
  virtual bool Speaks(ParticipantNumber owner, Timestamp now) const = 0;
};

}  // namespace nexus
