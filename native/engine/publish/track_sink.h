// Who takes a published track's packets beside the slots: a tap, a relay to another shard. Unlike a slot it
// sees every layer, as received.
#pragma once

#include "engine/forward/source_packet.h"
#include "engine/publish/layer_wishes.h"
#include "engine/rtcp/rtcp_packet.h"

namespace nexus {

class PublishedLayer;
class PublishedTrack;

class TrackSink {
 public:
  virtual ~TrackSink() = default;

  // Each stored packet once, in order of arrival, repaired ones too; padding only has no payload.
  virtual void OnPacket(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) = 0;
  virtual void OnSenderReport(PublishedLayer& layer, const SenderReport& report, Timestamp now) = 0;
  virtual void OnMuted(bool muted, Timestamp now) = 0;
  // The publisher says other sizes of the track's pictures.
  virtual void OnSizes(const PublishedTrack& track) = 0;
  // The track is about to go; it takes the sink out of its list itself.
  virtual void OnTrackGone(PublishedTrack& track) = 0;
  // The highest layers it can use; nothing: none now.
  virtual LayerWishes::Wish Wish() const { return kHighestLayer; }
  // So long a missing packet is of use: it is asked for again until then.
  virtual Duration nack_patience() const = 0;
};

}  // namespace nexus
