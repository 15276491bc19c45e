#include "engine/forward/remembered_sets.h"

namespace nexus {
namespace {

// Maximum number of units between the beginning of an access unit and its first slice (access unit delimiter,
// SEI).
constexpr int64_t kMaxUnitsInFront = 4;

}  // namespace

void RememberedSets::Learn(ByteView payload, LayerId layer) {
  if (!sets_.OnPayload(payload)) return;
  Version& version = versions_[count_ % versions_.size()];
  version.payload = sets_.complete() ? sets_.ToPayload() : std::vector<uint8_t>{};
  version.packet = {};
  version.packet.sequence_number = kFirstNumber + count_++;
  version.packet.layer = layer;
  version.packet.payload = version.payload;
}

void RememberedSets::OnPacket(PacketRing& ring, SourcePacket& stored) {
  Learn(stored.payload, stored.layer);
  // A receiver that reads dependency descriptors would miss one on the additional packet.
  if (!stored.frame.bare_idr || packet() == nullptr || !stored.dependency_descriptor.empty()) return;
  stored.frame.keyframe_start = stored.frame.needs_parameter_sets = BeginsAccessUnit(ring, stored);
}

// True if the IDR's first slice begins here and no parameter sets can arrive before it.
bool RememberedSets::BeginsAccessUnit(const PacketRing& ring, const SourcePacket& idr) const {
  for (int64_t back = 1; back <= kMaxUnitsInFront; ++back) {
    const SourcePacket* before = ring.Find(idr.sequence_number - back);
    if (before == nullptr) return false;  // lost or late: it may contain them
    if (before->timestamp != idr.timestamp) return true;
    if (before->frame.bare_idr || before->frame.keyframe_start) return false;
  }
  return false;
}

const SourcePacket* RememberedSets::packet() const {
  if (!sets_.complete()) return nullptr;
  return &versions_[(count_ - 1) % versions_.size()].packet;
}

const SourcePacket* RememberedSets::Find(int64_t number) const {
  for (const Version& version : versions_) {
    if (!version.payload.empty() && version.packet.sequence_number == number) return &version.packet;
  }
  return nullptr;
}

}  // namespace nexus
