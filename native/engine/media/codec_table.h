// The codecs that one peer answered, found by payload type (what it sends) or by codec (what it is sent).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/media/codec_binding.h"

namespace nexus {

class CodecTable {
 public:
  explicit CodecTable(std::vector<CodecBinding> bindings = {});

  const CodecBinding* ByPayloadType(PayloadType type) const { return Find(media_, type); }
  // The codec whose retransmissions have this payload type (RFC 4588 section 8.6, `apt`).
  const CodecBinding* ByRtxPayloadType(PayloadType type) const { return Find(rtx_, type); }
  // The codec whose redundant packets have this payload type (RFC 2198).
  const CodecBinding* ByRedPayloadType(PayloadType type) const { return Find(red_, type); }
  // Some retransmission payload type; nothing when none was negotiated.
  std::optional<PayloadType> AnyRtxPayloadType() const;
  // What to send a stream of `source` as; null when this peer cannot decode it.
  const CodecBinding* Matching(const CodecBinding& source) const;

 private:
  static constexpr uint8_t kNone = 0xFF;
  using Index = std::array<uint8_t, 128>;  // payload type -> position in bindings_
  const CodecBinding* Find(const Index& index, PayloadType type) const {
    const uint8_t position = type.value < index.size() ? index[type.value] : kNone;
    return position == kNone ? nullptr : &bindings_[position];
  }

  std::vector<CodecBinding> bindings_;
  Index media_;
  Index rtx_;
  Index red_;
};

}  // namespace nexus
