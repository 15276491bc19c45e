// A publisher, and a subscriber of all that it publishes.
#pragma once

#include <vector>

#include "testing/emulated_call.h"

namespace nexus::testing {

template <class Peer>
struct OneToOne {
  using Call = EmulatedCall<Peer>;

  // The subscriber has one slot for each of `kinds`, in their order. Each sends as soon as it is connected.
  explicit OneToOne(Call& call, const std::vector<MediaKind>& kinds = {MediaKind::kAudio, MediaKind::kVideo},
                    typename Peer::Options publisher_options = {},
                    typename Peer::Options subscriber_options = {}, const PublishOptions& how = {})
      : publisher(call.Join(std::move(publisher_options))),
        subscriber(call.Join(std::move(subscriber_options))) {
    for (const MediaKind kind : kinds) {
      call.Publish(publisher, kind, how);
      typename Call::Member::Slot& slot = call.AddSlot(subscriber, kind);
      (kind == MediaKind::kVideo ? video_ : audio_) = slot.stream;
      if (kind == MediaKind::kVideo) call.Command(BindSlot{slot.id, publisher.video_track});
    }
    call.StartMedia(publisher);
    call.StartMedia(subscriber);
  }
  typename Peer::ReceivedFrom& audio() { return *audio_; }
  typename Peer::ReceivedFrom& video() { return *video_; }

  typename Call::Member& publisher;
  typename Call::Member& subscriber;

 private:
  typename Peer::ReceivedFrom* audio_ = nullptr;
  typename Peer::ReceivedFrom* video_ = nullptr;
};

}  // namespace nexus::testing
