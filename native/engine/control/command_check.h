// Checks of a command's settings before it is queued, so that the caller gets the error at once.
#pragma once

#include <optional>
#include <string>

#include "engine/control/command.h"

namespace nexus {

// A sentence about the fault, or nothing.
std::optional<std::string> CheckIceCredentials(const IceCredentials& credentials);
std::optional<std::string> CheckFingerprints(const std::vector<DtlsFingerprint>& fingerprints);
std::optional<std::string> CheckCodecs(const std::vector<CodecBinding>& codecs);
std::optional<std::string> CheckTrack(const TrackSettings& settings);

}  // namespace nexus
