// Who a published track comes from: a peer of this shard, or another shard where that peer is.
#pragma once

#include "engine/audio/slot_placement.h"
#include "engine/base/ids.h"
#include "engine/publish/layer_wishes.h"

namespace nexus {

class PublishedTrack;

class TrackPublisher {
 public:
  virtual ~TrackPublisher() = default;

  virtual TransportId id() const = 0;
  virtual RoomId room() const = 0;
  // Something is to be asked of the publisher: a keyframe, a packet.
  virtual void Schedule() = 0;
  // The first slot watches the track, or the last one has left.
  virtual void OnInterest(PublishedTrack&, bool /*wanted*/) {}
  // The highest layers that slots want have changed. False: the control side is to tell the publisher.
  virtual bool OnWish(PublishedTrack&, const LayerWishes::Wish&) { return false; }
  // Whether one of the voices that belong to this owner is talking.
  virtual bool Speaks(ParticipantNumber owner, Timestamp now) const = 0;
};

}  // namespace nexus
