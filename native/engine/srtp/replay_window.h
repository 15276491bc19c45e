// Records which of the last 1024 packet indices were received (RFC 3711 section 3.3.2). Check before, and
// commit after, authentication.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace nexus {

enum class ReplayVerdict : uint8_t { kFresh, kReplayed, kTooOld };

class ReplayWindow {
 public:
  static constexpr uint64_t kSize = 1024;

  ReplayVerdict Check(uint64_t index) const {
    if (!highest_ || index > *highest_) return ReplayVerdict::kFresh;
    if (*highest_ - index >= kSize) return ReplayVerdict::kTooOld;
    return IsSet(index) ? ReplayVerdict::kReplayed : ReplayVerdict::kFresh;
  }

  // Only after Check has returned kFresh.
  void Commit(uint64_t index) {
    if (!highest_ || index > *highest_) Advance(index);
    words_[index / 64 % kWords] |= uint64_t{1} << index % 64;
  }

  const std::optional<uint64_t>& highest() const { return highest_; }

 private:
  static constexpr uint64_t kWords = kSize / 64;

  bool IsSet(uint64_t index) const { return (words_[index / 64 % kWords] >> index % 64 & 1) != 0; }

  // The indices between the old and the new highest were not received.
  void Advance(uint64_t index) {
    if (!highest_ || index - *highest_ >= kSize) {
      words_.fill(0);
    } else {
      for (uint64_t i = *highest_ + 1; i <= index; ++i) words_[i / 64 % kWords] &= ~(uint64_t{1} << i % 64);
    }
    highest_ = index;
  }

  std::array<uint64_t, kWords> words_{};
  std::optional<uint64_t> highest_;
};

}  // namespace nexus
