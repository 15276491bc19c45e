// Deadlines of many owners, the earliest first: a binary heap whose entries know their place, so that each
// owner has exactly one entry however often its deadline moves.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/base/time.h"

namespace nexus {

class DeadlineHeap;

// What `owner` points to.
namespace DeadlineKind {
inline constexpr int kTransport = 0;
inline constexpr int kRoom = 1;
inline constexpr int kTap = 2;
inline constexpr int kTrack = 3;
inline constexpr int kData = 4;
inline constexpr int kRelay = 5;
}  // namespace DeadlineKind

// A member of whoever waits. Takes itself out when it is destroyed.
class Deadline {
 public:
  Deadline() = default;
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // What the owner is told by, when the time has come.
  void* owner = nullptr;
  int kind = 0;
  Timestamp at() const { return at_; }

 private:
  friend class DeadlineHeap;
  static constexpr uint32_t kNowhere = UINT32_MAX;
  Timestamp at_ = kNever;
  uint32_t place_ = kNowhere;
  DeadlineHeap* heap_ = nullptr;
};

class DeadlineHeap {
 public:
  // kNever takes the entry out.
  void Set(Deadline& deadline, Timestamp at);
  Timestamp next() const { return heap_.empty() ? kNever : heap_.front().at; }
  // The earliest that is due, taken out; null when none is.
  Deadline* PopDue(Timestamp now);
  size_t size() const { return heap_.size(); }

 private:
  friend class Deadline;
  void Remove(Deadline& deadline);
  void Up(uint32_t place);
  void Down(uint32_t place);
  // The time stands beside the pointer: sifting looks at nothing else.
  struct Entry {
    Timestamp at;
    Deadline* deadline;
  };
  void Put(const Entry& entry, uint32_t place);

  std::vector<Entry> heap_;
};

}  // namespace nexus
