// The Data Channel Establishment Protocol (RFC 8832) and the payload protocol identifiers of RFC 8831
// section 8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/bytes.h"

namespace nexus {

inline constexpr uint32_t kPpidDcep = 50;
inline constexpr uint32_t kPpidString = 51;
inline constexpr uint32_t kPpidBinary = 53;
// SCTP has no empty messages: these represent them, with one byte to be ignored (RFC 8831 section 6.6).
inline constexpr uint32_t kPpidStringEmpty = 56;
inline constexpr uint32_t kPpidBinaryEmpty = 57;

// Maximum length of labels and protocols; RFC 8832 allows 65,535 bytes.
inline constexpr size_t kMaxDataChannelName = 256;

struct DataChannelOptions {
  bool ordered = true;
  // At most one of them is set; none: reliable.
  std::optional<uint32_t> max_retransmits;
  std::optional<uint32_t> max_lifetime_ms;
  uint16_t priority = 256;  // "normal" (RFC 8831 section 6.4)
  std::string label;
  std::string protocol;

  bool reliable() const { return !max_retransmits && !max_lifetime_ms; }
  friend bool operator==(const DataChannelOptions&, const DataChannelOptions&) = default;
};

// Nothing if it is not a DATA_CHANNEL_OPEN, or one that is not supported.
std::optional<DataChannelOptions> ParseDataChannelOpen(ByteView message);
bool IsDataChannelAck(ByteView message);
std::vector<uint8_t> WriteDataChannelOpen(const DataChannelOptions& options);
std::vector<uint8_t> WriteDataChannelAck();

}  // namespace nexus
