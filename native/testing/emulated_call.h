// A call in emulated time: a room and its members, which are peers of one kind. A kind of peer says what it
// publishes and receives (`Published`, `ReceivedFrom`), and how it does so (`Publish`, `Receive`,
// `SendVideoFrame`, `SendAudio`).
#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "testing/emulated_room.h"
#include "testing/test_streams.h"

namespace nexus::testing {

// How a member publishes a track.
struct PublishOptions {
  bool muted = false;
  bool announce_ssrc = true;  // false: signaling does not list its SSRCs (RFC 5576)
  bool with_mid = true;       // of the packets' header extensions
  // Signaling says which payload types are the track's (RFC 9143 section 9.2).
  bool announce_payload_types = false;
  uint16_t first_sequence = 100;
};

template <class Peer>
class EmulatedCall : public EmulatedRoom {
 public:
  using Published = typename Peer::Published;
  using ReceivedFrom = typename Peer::ReceivedFrom;

  // One participant: its peer and the ids under which the shard knows its parts.
  struct Member {
    std::unique_ptr<Peer> peer;
    TransportId transport;
    size_t shard = 0;
    Published* video = nullptr;
    std::vector<Published*> encodings;  // of a simulcast video, low to high
    Published* audio = nullptr;
    TrackId video_track;
    TrackId audio_track;
    struct Slot {
      SlotId id;
      ReceivedFrom* stream = nullptr;
    };
    std::vector<Slot> slots;
  };

  explicit EmulatedCall(EmulatedCallOptions options) : EmulatedRoom(std::move(options)) {}

  // Adds a member with a transport, which begins to connect.
  Member& Join(typename Peer::Options options = {}, size_t shard = 0);
  // Removes all members without telling the shard. Allowed only while none of them has media started.
  void ForgetMembers();
  Published& Publish(Member& member, MediaKind kind, const PublishOptions& how = {});
  // A video of several encodings, low to high: packets a frame, and bytes of payload a packet.
  void PublishSimulcast(Member& member, const std::vector<std::pair<size_t, size_t>>& encodings,
                        std::vector<PictureSize> sizes = {});
  typename Member::Slot& AddSlot(Member& member, MediaKind kind, int pair = 0, bool rtx = true);
  // The member's datagrams come from the address from now on, and those to it reach the member.
  void MoveTo(Member& member, const SocketAddress& address);
  // A camera at 25 frames a second and a microphone with 20 ms packets, with reports.
  void StartMedia(Member& member, uint8_t audio_level = 20);

  // CSRC by payload mark, for ReceivedStream::Faults.
  const std::map<uint32_t, uint32_t>& csrcs() const { return csrc_of_mark_; }
  std::vector<std::unique_ptr<Member>> members;

 private:
  PublishedStreamOptions NewStream(MediaKind kind);
  void StartEncodings(Member& member);
  void StartReports(Member& member);

  std::map<uint32_t, uint32_t> csrc_of_mark_;
};

template <class Peer>
typename EmulatedCall<Peer>::Member& EmulatedCall<Peer>::Join(typename Peer::Options options, size_t shard) {
  static const std::shared_ptr<const DtlsCertificate> certificate = DtlsCertificate::Generate();
  const uint32_t id = NewId(shard);
  options.address = NewAddress();
  options.seed = seed() * 1'000'003 + id;
  if (options.certificate == nullptr) options.certificate = certificate;
  auto member = std::make_unique<Member>();
  member->peer = std::make_unique<Peer>(std::move(options));
  member->transport = TransportId{id};
  member->shard = shard;
  const IceCredentials local = ServerIce(member->transport);
  Command(CreateTransport{member->transport, room(), local, member->peer->Settings()}, shard);
  Attach(*member->peer, member->transport, shard);
  member->peer->Connect(Describe(local, shard), now());
  members.push_back(std::move(member));
  return *members.back();
}

template <class Peer>
void EmulatedCall<Peer>::ForgetMembers() {
  DetachAll();
  members.clear();
  csrc_of_mark_.clear();
}

template <class Peer>
PublishedStreamOptions EmulatedCall<Peer>::NewStream(MediaKind kind) {
  PublishedStreamOptions options;
  options.kind = kind;
  options.ssrc = NewSsrc();
  options.rtx_ssrc = NewSsrc();
  return options;
}

template <class Peer>
typename EmulatedCall<Peer>::Published& EmulatedCall<Peer>::Publish(Member& member, MediaKind kind,
                                                                    const PublishOptions& how) {
  const bool video = kind == MediaKind::kVideo;
  PublishedStreamOptions options = NewStream(kind);
  const uint32_t id = NewId(member.shard);
  options.mid = std::to_string(id);
  options.mark = id;
  options.with_mid = how.with_mid;
  options.first_sequence = how.first_sequence;
  TrackSettings settings;
  settings.kind = kind;
  settings.number = 1000 + id;
  settings.mid = options.mid;
  settings.muted = how.muted;
  if (how.announce_ssrc) {
    settings.ssrcs = {options.ssrc};
    settings.rtx_ssrcs = {options.rtx_ssrc};
  }
  if (how.announce_payload_types) {
    const std::vector<CodecBinding> codecs = member.peer->Settings().codecs;
    const CodecBinding& codec = codecs[video ? 0 : 1];
    settings.payload_types = {codec.payload_type};
    for (const auto& further : {codec.rtx_payload_type, codec.red_payload_type}) {
      if (further) settings.payload_types.push_back(*further);
    }
  }
  csrc_of_mark_[options.mark] = settings.number;
  Published& stream = member.peer->Publish(options);
  (video ? member.video : member.audio) = &stream;
  (video ? member.video_track : member.audio_track) = TrackId{id};
  Command(AddTrack{TrackId{id}, member.transport, settings}, member.shard);
  return stream;
}

template <class Peer>
void EmulatedCall<Peer>::PublishSimulcast(Member& member,
                                          const std::vector<std::pair<size_t, size_t>>& encodings,
                                          std::vector<PictureSize> sizes) {
  const uint32_t id = NewId(member.shard);
  TrackSettings settings;
  settings.kind = MediaKind::kVideo;
  settings.number = 1000 + id;
  settings.mid = std::to_string(id);
  settings.sizes = std::move(sizes);
  for (size_t i = 0; i < encodings.size(); ++i) {
    PublishedStreamOptions options = NewStream(MediaKind::kVideo);
    options.mid = settings.mid;
    options.mark = 100 * (1000 + id) + static_cast<uint32_t>(i);
    options.packets_per_frame = encodings[i].first;
    options.payload_size = encodings[i].second;
    settings.ssrcs.push_back(options.ssrc);
    settings.rtx_ssrcs.push_back(options.rtx_ssrc);
    csrc_of_mark_[options.mark] = settings.number;
    member.encodings.push_back(&member.peer->Publish(options));
  }
  member.video_track = TrackId{id};
  Command(AddTrack{member.video_track, member.transport, settings}, member.shard);
}

template <class Peer>
typename EmulatedCall<Peer>::Member::Slot& EmulatedCall<Peer>::AddSlot(Member& member, MediaKind kind,
                                                                       int pair, bool rtx) {
  const SlotId id{NewId(member.shard)};
  SlotSettings settings;
  settings.kind = kind;
  settings.pair = pair;
  settings.ssrc = NewSsrc();
  if (kind == MediaKind::kVideo && rtx) settings.rtx_ssrc = NewSsrc();
  member.slots.push_back({id, &member.peer->Receive(settings.ssrc, settings.rtx_ssrc, kind)});
  Command(nexus::AddSlot{id, member.transport, settings}, member.shard);
  return member.slots.back();
}

template <class Peer>
void EmulatedCall<Peer>::MoveTo(Member& member, const SocketAddress& address) {
  member.peer->MoveTo(address);
  Route(address, *member.peer);
}

template <class Peer>
void EmulatedCall<Peer>::StartMedia(Member& member, uint8_t audio_level) {
  if (member.video != nullptr) {
    Every(std::chrono::milliseconds(40), [this, &member] {
      if (member.peer->connected()) member.peer->SendVideoFrame(*member.video, now());
    });
  }
  if (!member.encodings.empty()) StartEncodings(member);
  if (member.audio != nullptr) {
    Every(std::chrono::milliseconds(20), [this, &member, audio_level] {
      if (member.peer->connected()) member.peer->SendAudio(*member.audio, now(), audio_level);
    });
  }
  StartReports(member);
}

// A keyframe is four times as large as other frames, and no two frames are of one size.
template <class Peer>
void EmulatedCall<Peer>::StartEncodings(Member& member) {
  if constexpr (Peer::kMakesMediaByHand) {
    Every(std::chrono::milliseconds(40), [this, &member] {
      if (!member.peer->connected()) return;
      for (PublishedStream* stream : member.encodings) {
        const double factor = stream->keyframe_wanted ? 4 : 1;
        std::uniform_real_distribution<double> spread(0.7, 1.3);
        const double size =
            static_cast<double>(stream->options.packets_per_frame) * factor * spread(network().random());
        const size_t whole = static_cast<size_t>(size);
        std::bernoulli_distribution one_more(size - static_cast<double>(whole));
        member.peer->SendVideoFrame(*stream, now(),
                                    std::max<size_t>(1, whole + (one_more(network().random()) ? 1 : 0)));
      }
    });
  }
}

template <class Peer>
void EmulatedCall<Peer>::StartReports(Member& member) {
  if constexpr (Peer::kMakesMediaByHand) {
    Every(std::chrono::seconds(1), [this, &member] {
      if (!member.peer->connected()) return;
      std::vector<const PublishedStream*> streams = {member.video, member.audio};
      streams.insert(streams.end(), member.encodings.begin(), member.encodings.end());
      for (const PublishedStream* stream : streams) {
        if (stream != nullptr && stream->packets > 0) member.peer->SendSenderReport(*stream, now());
      }
      member.peer->SendReceiverReports(now());
    });
  }
}

}  // namespace nexus::testing
