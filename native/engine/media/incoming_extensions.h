// Header extensions of one received packet, read in one pass by the ids that its sender negotiated.
#pragma once

#include <optional>
#include <string_view>

#include "engine/rtp/rtp_extensions.h"
#include "engine/rtp/rtp_packet.h"

namespace nexus {

struct IncomingExtensions {
  std::optional<AudioLevel> audio_level;
  std::optional<uint16_t> transport_sequence_number;
  std::optional<uint8_t> video_orientation;
  std::string_view mid;
  std::string_view rid;
  std::string_view repaired_rid;
  ByteView dependency_descriptor;
};

inline IncomingExtensions ReadExtensions(const RtpPacketView& packet, const RtpExtensionIds& ids) {
  IncomingExtensions found;
  RtpExtensionReader reader = packet.extensions();
  while (const auto element = reader.Next()) {
    const uint8_t id = element->id;
    if (id == 0) continue;
    if (id == ids.id(RtpExtension::kTransportSequenceNumber)) {
      found.transport_sequence_number = ParseTransportSequenceNumber(element->value);
    } else if (id == ids.id(RtpExtension::kAudioLevel)) {
      found.audio_level = ParseAudioLevel(element->value);
    } else if (id == ids.id(RtpExtension::kMid)) {
      found.mid = ParseExtensionText(element->value);
    } else if (id == ids.id(RtpExtension::kRid)) {
      found.rid = ParseExtensionText(element->value);
    } else if (id == ids.id(RtpExtension::kRepairedRid)) {
      found.repaired_rid = ParseExtensionText(element->value);
    } else if (id == ids.id(RtpExtension::kDependencyDescriptor)) {
      found.dependency_descriptor = element->value;
    } else if (id == ids.id(RtpExtension::kVideoOrientation) && !element->value.empty()) {
      found.video_orientation = element->value[0];
    }
  }
  return found;
}

}  // namespace nexus
