// Interface of receivers of a published track's packets besides the slots: a tap, a relay to another shard.
// Unlike a slot, a sink receives every layer, as it came.
#pragma once

#include "engine/forward/source_packet.h"
#include "engine/publish/layer_demand.h"
#include "engine/rtcp/rtcp_packet.h"

namespace nexus {

class PublishedLayer;
class PublishedTrack;

class TrackSink {
 public:
  virtual ~TrackSink() = default;

  // Each stored packet once, in order of arrival, including repaired ones. Pure padding has no payload.
  virtual void OnPacket(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) = 0;
  virtual void OnSenderReport(PublishedLayer& layer, const SenderReport& report, Timestamp now) = 0;
  virtual void OnMuted(bool muted, Timestamp now) = 0;
  // The publisher has changed the frame sizes of the track.
  virtual void OnSizes(const PublishedTrack& track) = 0;
  // The track is about to be destroyed; it removes the sink from its list itself.
  virtual void OnTrackGone(PublishedTrack& track) = 0;
  // The highest layers that it can use; nothing: none now.
  virtual LayerDemand Demand() const { return kHighestLayer; }
  // How long a missing packet is of use; it is requested again until then.
  virtual Duration nack_patience() const = 0;
};

}  // namespace nexus
