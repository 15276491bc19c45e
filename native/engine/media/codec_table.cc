#include "engine/media/codec_table.h"

namespace nexus {
namespace {

// RFC 6184 section 8.1: the first byte and constraint bits name the profile, the last byte the level, which
// an answerer may lower on its own and which says nothing about the bitstream's syntax.
bool SameH264Profile(const CodecBinding& a, const CodecBinding& b) {
  constexpr uint32_t kBaselineDefault = 0x420010;
  const uint32_t left = a.h264_profile_level_id.value_or(kBaselineDefault) >> 8;
  const uint32_t right = b.h264_profile_level_id.value_or(kBaselineDefault) >> 8;
  return left == right;
}

// Rank of `candidate` for a stream of `source`; 0: it cannot carry it.
int Fit(const CodecBinding& candidate, const CodecBinding& source) {
  if (candidate.codec != source.codec) return 0;
  if (source.codec == Codec::kVp9) return candidate.vp9_profile == source.vp9_profile ? 2 : 0;
  if (source.codec != Codec::kH264) return 2;
  // The packetization is forwarded as it is: a mode 1 stream may contain FU-A, which a mode 0 receiver must
  // refuse.
  if (candidate.h264_packetization_mode != source.h264_packetization_mode) return 0;
  if (SameH264Profile(candidate, source)) return 3;
  // Baseline and constrained baseline (0x42 with and without constraint_set1) decode one another in practice.
  const uint32_t left = candidate.h264_profile_level_id.value_or(0x420010) >> 16;
  const uint32_t right = source.h264_profile_level_id.value_or(0x420010) >> 16;
  return left == right ? 2 : 0;
}

}  // namespace

CodecTable::CodecTable(std::vector<CodecBinding> bindings) : bindings_(std::move(bindings)) {
  media_.fill(kNone);
  rtx_.fill(kNone);
  red_.fill(kNone);
  if (bindings_.size() > media_.size()) bindings_.resize(media_.size());
  for (size_t i = 0; i < bindings_.size(); ++i) {
    const CodecBinding& binding = bindings_[i];
    if (binding.payload_type.value < media_.size())
      media_[binding.payload_type.value] = static_cast<uint8_t>(i);
    if (binding.rtx_payload_type && binding.rtx_payload_type->value < rtx_.size()) {
      rtx_[binding.rtx_payload_type->value] = static_cast<uint8_t>(i);
    }
    if (binding.red_payload_type && binding.red_payload_type->value < red_.size()) {
      red_[binding.red_payload_type->value] = static_cast<uint8_t>(i);
    }
  }
}

std::optional<PayloadType> CodecTable::AnyRtxPayloadType() const {
  for (const CodecBinding& binding : bindings_) {
    if (binding.rtx_payload_type) return binding.rtx_payload_type;
  }
  return std::nullopt;
}

const CodecBinding* CodecTable::Matching(const CodecBinding& source) const {
  const CodecBinding* best = nullptr;
  int best_fit = 0;
  for (const CodecBinding& candidate : bindings_) {
    const int fit = Fit(candidate, source);
    if (fit > best_fit) {
      best = &candidate;
      best_fit = fit;
    }
  }
  return best;
}

}  // namespace nexus
