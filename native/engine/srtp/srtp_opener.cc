#include "engine/srtp/srtp_opener.h"

#include "engine/srtp/srtp_transform.h"
#include "engine/srtp/ssrc_table.h"

namespace nexus {

namespace {

constexpr uint8_t kVersionMask = 0xC0;
constexpr uint8_t kVersion2 = 0x80;

// RFC 3711 section 3.3.1 and appendix A: the roll-over counter that brings SEQ nearest to the highest index
// so far. Nothing if it would be before the first roll-over or after the last.
std::optional<uint64_t> GuessIndex(const ReplayWindow* window, uint16_t sequence) {
  if (window == nullptr || !window->highest()) return sequence;  // a stream begins with ROC 0
  const uint64_t highest = *window->highest();
  const uint64_t roc = highest >> 16;
  const int last = static_cast<uint16_t>(highest);
  if (last < 0x8000 && sequence - last > 0x8000) {
    if (roc == 0) return std::nullopt;
    return (roc - 1) << 16 | sequence;
  }
  if (last >= 0x8000 && last - 0x8000 > sequence) {
    if (roc == 0xFFFFFFFFu) return std::nullopt;  // section 9.2: a key is used for at most 2^48 packets
    return (roc + 1) << 16 | sequence;
  }
  return roc << 16 | sequence;
}

}  // namespace

SrtpOpener::SrtpOpener(SrtpProfile profile, const SrtpKeyMaterial& material, SrtpOpenerConfig config)
    : profile_(profile),
      transform_(MakeSrtpTransform(profile, material, SrtpDirection::kOpen, config.library)),
      rtp_(std::make_unique<SsrcTable>(config.max_ssrcs)),
      rtcp_(std::make_unique<SsrcTable>(config.max_ssrcs)) {}
SrtpOpener::~SrtpOpener() = default;
SrtpOpener::SrtpOpener(SrtpOpener&&) noexcept = default;
SrtpOpener& SrtpOpener::operator=(SrtpOpener&&) noexcept = default;

bool SrtpOpener::IsFresh(const ReplayWindow* window, uint64_t index) {
  switch (window == nullptr ? ReplayVerdict::kFresh : window->Check(index)) {
    case ReplayVerdict::kFresh:
      return true;
    case ReplayVerdict::kReplayed:
      ++counters_.replayed;
      return false;
    case ReplayVerdict::kTooOld:
      ++counters_.too_old;
      return false;
  }
  return false;
}

std::optional<size_t> SrtpOpener::OpenRtp(MutableByteView packet, size_t header_size) {
  const size_t tag_size = SrtpTagSize(profile_);
  if (!transform_ || header_size < kRtpFixedHeaderSize || packet.size() < header_size ||
      packet.size() - header_size < tag_size || (packet[0] & kVersionMask) != kVersion2) {
    ++counters_.malformed;
    return std::nullopt;
  }
  const uint32_t ssrc = ReadU32(packet, 8);
  const ReplayWindow* window = rtp_->Find(ssrc);
  const auto index = GuessIndex(window, static_cast<uint16_t>(packet[2] << 8 | packet[3]));
  if (!index) {
    ++counters_.too_old;
    return std::nullopt;
  }
  if (!IsFresh(window, *index)) return std::nullopt;
  if (!transform_->OpenRtp(packet, header_size, *index)) {
    ++counters_.unauthenticated;
    return std::nullopt;
  }
  rtp_->Touch(ssrc, counters_.ssrcs_evicted).Commit(*index);
  ++counters_.rtp_opened;
  return packet.size() - tag_size;
}

std::optional<size_t> SrtpOpener::OpenRtcp(MutableByteView packet) {
  const size_t overhead = SrtpTagSize(profile_) + kSrtcpIndexSize;
  if (!transform_ || packet.size() < kRtcpFixedHeaderSize + overhead ||
      (packet[0] & kVersionMask) != kVersion2) {
    ++counters_.malformed;
    return std::nullopt;
  }
  const uint32_t index_word = ReadU32(packet, transform_->RtcpIndexOffset(packet.size()));
  if ((index_word & kSrtcpEncryptedBit) == 0) {
    ++counters_.unencrypted;
    return std::nullopt;
  }
  const uint32_t ssrc = ReadU32(packet, 4);
  const uint32_t index = index_word & ~kSrtcpEncryptedBit;
  if (!IsFresh(rtcp_->Find(ssrc), index)) return std::nullopt;
  if (!transform_->OpenRtcp(packet, index_word)) {
    ++counters_.unauthenticated;
    return std::nullopt;
  }
  rtcp_->Touch(ssrc, counters_.ssrcs_evicted).Commit(index);
  ++counters_.rtcp_opened;
  return packet.size() - overhead;
}

size_t SrtpOpener::ssrc_count() const { return rtp_->size() + rtcp_->size(); }

}  // namespace nexus
