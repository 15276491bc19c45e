// The scenes that the bench compares SFUs in: what each participant publishes, and with which codecs and
// header extensions.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/control/command.h"

namespace nexus::load {

enum class Scene : uint8_t { kLivestream, kMeeting, kAudio };

inline std::optional<Scene> SceneFromName(std::string_view name) {
  if (name == "livestream") return Scene::kLivestream;  // 1 -> N
  if (name == "meeting") return Scene::kMeeting;        // N x N, 720p simulcast
  if (name == "audio") return Scene::kAudio;            // 10 -> N
  return std::nullopt;
}

struct SceneOptions {
  Scene scene = Scene::kLivestream;
  size_t participants = 100;  // of a livestream: viewers, without the publisher
  Codec codec = Codec::kVp8;
  bool simulcast = true;
  size_t audio_publishers = 10;
  size_t max_watched = 25;  // video slots of one participant
};

// One encoding of the 720p camera: browsers' defaults for three layers, by order of magnitude.
struct EncodingSpec {
  std::string_view rid;
  uint64_t bitrate_bps;
};
inline constexpr EncodingSpec kSimulcast[] = {{"q", 150'000}, {"h", 500'000}, {"f", 1'500'000}};

inline bool PublishesVideo(const SceneOptions& options, size_t participant) {
  return options.scene == Scene::kMeeting || (options.scene == Scene::kLivestream && participant == 0);
}
inline bool PublishesAudio(const SceneOptions& options, size_t participant) {
  if (options.scene == Scene::kAudio) return participant < options.audio_publishers;
  return options.scene == Scene::kMeeting || participant == 0;
}
inline size_t ParticipantsOf(const SceneOptions& options) {
  return options.participants + (options.scene == Scene::kLivestream ? 1 : 0);
}

// The codecs that browsers negotiate, with fixed payload types.
inline std::vector<CodecBinding> SceneCodecs() {
  CodecBinding vp8;
  vp8.payload_type = PayloadType{96};
  vp8.rtx_payload_type = PayloadType{97};
  vp8.codec = Codec::kVp8;
  vp8.clock_rate = 90'000;
  CodecBinding h264 = vp8;
  h264.payload_type = PayloadType{102};
  h264.rtx_payload_type = PayloadType{103};
  h264.codec = Codec::kH264;
  h264.h264_profile_level_id = 0x42E01F;
  h264.h264_packetization_mode = 1;
  CodecBinding opus;
  opus.payload_type = PayloadType{111};
  opus.codec = Codec::kOpus;
  opus.clock_rate = 48'000;
  return {vp8, h264, opus};
}

inline RtpExtensionIds SceneExtensions() {
  RtpExtensionIds ids;
  ids.Set(RtpExtension::kAudioLevel, 1);
  ids.Set(RtpExtension::kAbsSendTime, 2);
  ids.Set(RtpExtension::kTransportSequenceNumber, 3);
  ids.Set(RtpExtension::kMid, 4);
  ids.Set(RtpExtension::kRid, 10);
  ids.Set(RtpExtension::kRepairedRid, 11);
  return ids;
}

}  // namespace nexus::load
