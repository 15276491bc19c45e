// Interface of a subscriber's slot to the track that it shows or waits for. Packets do not pass through here:
// they follow the track's routes (fan_out.h).
#pragma once

#include "engine/base/time.h"
#include "engine/publish/layer_demand.h"

namespace nexus {

class PublishedLayer;
class PublishedTrack;
class SubscriberSlot;

class TrackSubscriber {
 public:
  virtual ~TrackSubscriber() = default;

  // Destination of the packets of a layer that it takes.
  virtual SubscriberSlot& slot() = 0;
  virtual bool Takes(const PublishedLayer& layer) const = 0;
  // The highest layer that it can use; nothing: none now.
  virtual LayerDemand Demand() const = 0;

  // The track is about to be destroyed; the subscriber removes itself from its list.
  virtual void OnTrackGone(PublishedTrack& track) = 0;
  // Muted or unmuted: the next picture begins with a keyframe, without a gap.
  virtual void OnTrackPaused(PublishedTrack& track) = 0;
  // An encoding of the track began or stopped.
  virtual void OnEncodingsChanged(Timestamp now) = 0;
  // The frame sizes of the track's layers have changed.
  virtual void OnSizesChanged() = 0;
};

}  // namespace nexus
