// Strong types for ids, which would otherwise all be integers.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace nexus {

template <class Tag, class Value>
struct StrongId {
  Value value{};
  friend auto operator<=>(const StrongId&, const StrongId&) = default;
};

using Ssrc = StrongId<struct SsrcTag, uint32_t>;
using PayloadType = StrongId<struct PayloadTypeTag, uint8_t>;

// Issued by the engine's facade; unique during the life of the process.
using RoomId = StrongId<struct RoomIdTag, uint32_t>;
using TransportId = StrongId<struct TransportIdTag, uint32_t>;
using TrackId = StrongId<struct TrackIdTag, uint32_t>;
using SlotId = StrongId<struct SlotIdTag, uint32_t>;

}  // namespace nexus

template <class Tag, class Value>
struct std::hash<nexus::StrongId<Tag, Value>> {
  size_t operator()(const nexus::StrongId<Tag, Value>& id) const noexcept {
    return std::hash<Value>()(id.value);
  }
};
