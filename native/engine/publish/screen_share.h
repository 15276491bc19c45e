// Screen shares: how a track is known to be one, and how large it is assumed to be.
#pragma once

#include <cstdint>

#include "engine/control/command.h"

namespace nexus {

// TrackSettings::group of a screen share and its audio, by convention of this project.
inline constexpr int kScreenGroup = 1;

inline bool IsScreenShare(const TrackSettings& track) { return track.group == kScreenGroup; }

// Assumed height of the highest layer when neither the publisher nor a keyframe has given it.
inline uint32_t AssumedHeight(const TrackSettings& track) { return IsScreenShare(track) ? 1'080 : 720; }

}  // namespace nexus
