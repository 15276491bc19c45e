// Commands of the control side to a shard: a closed set, carried through the shard thread's queue. The
// engine's facade assigns ids, so that every call returns at once and a command needs no reply.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/ids.h"
#include "engine/codec/codec.h"
#include "engine/codec/picture_size.h"
#include "engine/control/data_settings.h"
#include "engine/dtls/dtls_endpoint.h"
#include "engine/forward/layer_target.h"
#include "engine/ice/ice_credentials.h"
#include "engine/media/codec_binding.h"
#include "engine/media/media_kind.h"
#include "engine/rtp/rtp_extensions.h"
#include "engine/sctp/data_channels.h"
#include "engine/tap/tap_settings.h"

namespace nexus {

struct TransportSettings {
  IceCredentials remote;
  std::vector<DtlsFingerprint> fingerprints;
  std::vector<CodecBinding> codecs;
  RtpExtensionIds extensions;
  bool forward_descriptors = false;  // all video slots have negotiated dependency descriptors
  bool reduced_size_rtcp = true;     // RFC 5506
  // Our role: the client when the peer offers `a=setup:passive` (RFC 8842 section 5.3).
  DtlsRole dtls_role = DtlsRole::kServer;
};

struct TrackSettings {
  MediaKind kind = MediaKind::kAudio;
  uint32_t number = 0;  // the CSRC of what is forwarded
  std::string mid;
  std::vector<Ssrc> ssrcs;
  std::vector<Ssrc> rtx_ssrcs;
  std::vector<std::string> rids;
  // Payload types of its codec, retransmissions and redundancy, as answered for its section. A packet without
  // a MID and with an unknown SSRC belongs to the one track of the transport that has its payload type
  // (RFC 9143 section 9.2).
  std::vector<PayloadType> payload_types;
  // Sizes of its encodings or spatial layers, low to high, as the publisher says; fewer, or none: not known.
  std::vector<PictureSize> sizes;
  // As the publisher says (W3C webrtc-svc); empty: no SVC.
  std::string scalability_mode;
  int group = 0;
  bool muted = false;
};

struct SlotSettings {
  MediaKind kind = MediaKind::kAudio;
  int pair = -1;
  Ssrc ssrc;
  std::optional<Ssrc> rtx_ssrc;
};

struct CreateRoom {
  RoomId room;
};
struct CloseRoom {
  RoomId room;
};
struct CreateTransport {
  TransportId transport;
  RoomId room;
  IceCredentials local;
  TransportSettings settings;
};
struct UpdateTransport {
  TransportId transport;
  std::vector<CodecBinding> codecs;
  RtpExtensionIds extensions;
  bool forward_descriptors = false;
};
struct RestartIce {
  TransportId transport;
  IceCredentials local;
  IceCredentials remote;
};
struct CloseTransport {
  TransportId transport;
};
struct AddTrack {
  TrackId track;
  TransportId transport;
  TrackSettings settings;
};
struct RemoveTrack {
  TrackId track;
};
struct MuteTrack {
  TrackId track;
  bool muted = false;
};
// New sizes of a track's encodings or spatial layers.
struct ResizeTrack {
  TrackId track;
  std::vector<PictureSize> sizes;
};
struct RequestKeyframe {
  TrackId track;
};
struct AddSlot {
  SlotId slot;
  TransportId transport;
  SlotSettings settings;
};
struct RemoveSlot {
  SlotId slot;
};
struct BindSlot {
  SlotId slot;
  TrackId track;
};
struct UnbindSlot {
  SlotId slot;
};
struct SetSubscribed {
  TransportId transport;
  TrackId track;
  bool subscribed = true;
};
// How the subscriber shows a video slot, and its priority; the allocator shares the bandwidth accordingly.
struct SlotView {
  // Pixels on the subscriber's screen; larger layers are not sent. 0: not known, the largest is sent.
  uint16_t width = 0;
  uint16_t height = 0;
  uint8_t priority = 0;  // a higher one precedes, whatever the other members say
  bool pinned = false;
  bool visible = true;  // false: nothing is sent, and no event reports it
  std::optional<LayerTarget> max;
};
struct SetSlotView {
  SlotId slot;
  SlotView view;
};
// The shards of a room, its home first; sent to each of them when one is added.
struct SpreadRoom {
  RoomId room;
  std::vector<uint16_t> shards;
};
// A tap on a track (track_tap.h).
struct AddTap {
  TapId tap;
  TrackId track;
  TapSettings settings;
};
struct RemoveTap {
  TapId tap;
};
// The tap's reader has lost something, or asks for it: a keyframe is requested.
struct RefreshTap {
  TapId tap;
};
struct UpdateTap {
  TapId tap;
  TapDemand demand;
};
// Opens data channels for this peer, or changes what they may do.
struct ConfigureData {
  TransportId transport;
  DataSettings data;
};
// Messages from the server, made by WriteDataMessages; to all participants of the room when `to` is empty.
struct SendData {
  RoomId room;
  std::vector<TransportId> to;
  DataChannelOptions kind;
  std::vector<SharedBytes> messages;
};
struct RequestStats {
  uint32_t request = 0;
  std::optional<RoomId> room;
  bool details = true;  // false: EngineStats alone
};

using Command =
    std::variant<CreateRoom, CloseRoom, CreateTransport, UpdateTransport, RestartIce, CloseTransport,
                 AddTrack, RemoveTrack, MuteTrack, ResizeTrack, RequestKeyframe, AddSlot, RemoveSlot,
                 BindSlot, UnbindSlot, SetSubscribed, SetSlotView, RequestStats, AddTap, RemoveTap,
                 RefreshTap, UpdateTap, ConfigureData, SendData, SpreadRoom>;

}  // namespace nexus
