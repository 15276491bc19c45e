// Codecs that one peer has negotiated, found by payload type (for what it sends) or by codec (for what it
// receives).
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
  // Any retransmission payload type; nothing when none was negotiated.
  std::optional<PayloadType> AnyRtxPayloadType() const;
  // The binding under which a stream of `source` is sent; null when this peer cannot decode it.
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
