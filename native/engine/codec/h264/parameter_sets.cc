#include "engine/codec/h264/parameter_sets.h"

#include <algorithm>
#include <bit>

namespace nexus {
namespace {

constexpr uint8_t kSps = 7;
constexpr uint8_t kPps = 8;
constexpr uint8_t kStapA = 24;

// ue(v) (H.264 section 9.1) at the start of `bytes`. Ids are at most 255, so 17 bits are enough.
std::optional<uint32_t> ReadExpGolomb(ByteView bytes) {
  ByteReader reader(bytes);
  uint32_t bits = 0;
  for (size_t i = 0; i < 3; ++i) bits = bits << 8 | (reader.remaining() > 0 ? reader.U8() : 0u);
  bits <<= 8;
  const auto zeros = static_cast<unsigned>(std::countl_zero(bits));
  if (bytes.empty() || zeros > 8) return std::nullopt;
  return (bits >> (31 - 2 * zeros)) - 1;
}

// Sections 7.3.2.1.1 and 7.3.2.2: the id follows the NAL header and, in an SPS, profile, constraints and
// level.
std::optional<uint32_t> IdOf(ByteView unit, bool pps) {
  const size_t at = pps ? 1 : 4;
  if (unit.size() <= at) return std::nullopt;
  return ReadExpGolomb(unit.subspan(at));
}

}  // namespace

bool ParameterSets::OnPayload(ByteView payload) {
  ByteReader reader(payload);
  const uint8_t type = reader.U8() & 0x1F;
  if (!reader.ok()) return false;
  if (type == kSps || type == kPps) return Learn(payload);
  if (type != kStapA) return false;
  bool news = false;
  while (reader.remaining() > 0) {
    const ByteView unit = reader.Bytes(reader.U16());
    if (!reader.ok()) break;
    news = Learn(unit) || news;
  }
  return news;
}

bool ParameterSets::Learn(ByteView unit) {
  if (unit.empty()) return false;
  const uint8_t type = unit[0] & 0x1F;
  if (type != kSps && type != kPps) return false;
  const bool pps = type == kPps;
  const auto id = IdOf(unit, pps);
  if (!id) return false;
  const auto known =
      std::ranges::find_if(sets_, [&](const Set& set) { return set.pps == pps && set.id == *id; });
  if (known != sets_.end()) {
    if (std::ranges::equal(known->unit, unit)) return false;
    bytes_ -= 2 + known->unit.size();
    sets_.erase(known);
  }
  if (sets_.size() == kMaxSets || bytes_ + 2 + unit.size() > kMaxBytes) {
    // A part of the sets would be worse than none.
    *this = {};
    return true;
  }
  bytes_ += 2 + unit.size();
  sets_.push_back({pps, *id, {unit.begin(), unit.end()}});
  has_sps_ |= !pps;
  has_pps_ |= pps;
  return true;
}

std::vector<uint8_t> ParameterSets::ToPayload() const {
  uint8_t reference = 0;  // NRI is the highest of those inside
  for (const Set& set : sets_) reference = std::max<uint8_t>(reference, set.unit[0] & 0x60);
  std::vector<uint8_t> payload{static_cast<uint8_t>(reference | kStapA)};
  for (const bool pps : {false, true}) {
    for (const Set& set : sets_) {
      if (set.pps != pps) continue;
      payload.push_back(static_cast<uint8_t>(set.unit.size() >> 8));
      payload.push_back(static_cast<uint8_t>(set.unit.size()));
      payload.insert(payload.end(), set.unit.begin(), set.unit.end());
    }
  }
  return payload;
}

}  // namespace nexus
