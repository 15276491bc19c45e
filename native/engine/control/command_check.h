// What cannot be right in a command's settings, before it is queued: the caller hears of it at once.
#pragma once

#include <optional>
#include <string>

#include "engine/control/command.h"

namespace nexus {

// A sentence about what is wrong, or nothing.
std::optional<std::string> CheckIceCredentials(const IceCredentials& credentials);
std::optional<std::string> CheckFingerprints(const std::vector<DtlsFingerprint>& fingerprints);
std::optional<std::string> CheckCodecs(const std::vector<CodecBinding>& codecs);
std::optional<std::string> CheckTrack(const TrackSettings& settings);

}  // namespace nexus
