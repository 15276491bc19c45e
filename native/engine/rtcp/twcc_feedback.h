// Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1): for
// each transport-wide sequence number whether the packet arrived, and when, in steps of 250 µs from a signed
// 24-bit reference time.
#pragma once

#include <optional>
#include <span>

#include "engine/base/bytes.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace nexus {

inline constexpr Duration kTwccTick{250};
inline constexpr Duration kTwccReferenceUnit{64'000};

// Received feedback. `Parse` has checked that chunks and deltas are complete.
class TwccFeedbackView {
 public:
  static std::optional<TwccFeedbackView> Parse(ByteView body);  // after the common RTCP header

  Ssrc sender() const { return sender_; }
  Ssrc media() const { return media_; }
  uint16_t base_sequence() const { return base_sequence_; }
  uint16_t status_count() const { return status_count_; }
  int32_t reference_time() const { return reference_time_; }  // 24 bits, signed, 64 ms
  uint8_t feedback_count() const { return feedback_count_; }

  // Calls `visit(uint16_t sequence, std::optional<Duration> arrival)` for each number; arrival is relative to
  // the zero of the peer's reference time, which wraps after 2^24 * 64 ms.
  template <class Visit>
  void ForEach(Visit&& visit) const {
    Cursor cursor(*this);
    for (uint32_t i = 0; i < status_count_; ++i) {
      visit(static_cast<uint16_t>(base_sequence_ + i), cursor.Next());
    }
  }

 private:
  enum class Symbol : uint8_t { kLost = 0, kSmallDelta = 1, kLargeDelta = 2, kReserved = 3 };
  class Cursor {
   public:
    explicit Cursor(const TwccFeedbackView& feedback);
    std::optional<Duration> Next();
    Symbol NextSymbol();
    bool ok() const { return chunks_.ok() && deltas_.ok(); }

   private:
    ByteReader chunks_;
    ByteReader deltas_;
    Duration time_;
    uint16_t chunk_ = 0;
    uint16_t left_ = 0;  // symbols left in `chunk_`
  };
  friend class Cursor;

  Ssrc sender_;
  Ssrc media_;
  uint16_t base_sequence_ = 0;
  uint16_t status_count_ = 0;
  int32_t reference_time_ = 0;
  uint8_t feedback_count_ = 0;
  ByteView chunks_;
  ByteView deltas_;
};

struct TwccArrival {
  int64_t sequence = 0;  // unwrapped, ascending, no duplicates
  Timestamp arrival;
};

struct TwccFeedbackResult {
  size_t size = 0;      // bytes of a whole RTCP packet, 0: nothing fits
  size_t consumed = 0;  // arrivals that were written; the rest belongs into the next feedback
};

// Writes one feedback packet that starts at `base_sequence` (not after the first arrival), with as many
// arrivals as `out`, the 16-bit count and the 16-bit deltas allow.
TwccFeedbackResult WriteTwccFeedback(MutableByteView out, Ssrc sender, Ssrc media, uint8_t feedback_count,
                                     int64_t base_sequence, std::span<const TwccArrival> arrivals);

}  // namespace nexus
