// Deadlines of many owners, the earliest first: a binary heap whose entries know their place, so that each
// owner has exactly one entry however often its deadline moves. `Owner` identifies the owner of a due
// deadline to the heap's user: a pointer, or a variant of pointers.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/time.h"

namespace nexus {

template <class Owner>
class DeadlineHeap {
 public:
  // A member of its owner. Takes itself out of the heap when it is destroyed.
  class Deadline {
   public:
    explicit Deadline(Owner owner) : owner_(owner) {}
    ~Deadline() {
      if (heap_ != nullptr) heap_->Remove(*this);
    }
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

    const Owner& owner() const { return owner_; }
    Timestamp at() const { return at_; }

   private:
    friend class DeadlineHeap;
    static constexpr uint32_t kNowhere = UINT32_MAX;
    Owner owner_;
    Timestamp at_ = kNever;
    uint32_t place_ = kNowhere;
    DeadlineHeap* heap_ = nullptr;
  };

  // kNever takes the entry out.
  void Set(Deadline& deadline, Timestamp at) {
    if (at == kNever) return Remove(deadline);
    const Timestamp before = deadline.at_;
    deadline.at_ = at;
    if (deadline.heap_ == nullptr) {
      deadline.heap_ = this;
      heap_.push_back({at, &deadline});
      deadline.place_ = static_cast<uint32_t>(heap_.size() - 1);
      return Up(deadline.place_);
    }
    heap_[deadline.place_].at = at;
    if (at < before) {
      Up(deadline.place_);
    } else {
      Down(deadline.place_);
    }
  }
  Timestamp next() const { return heap_.empty() ? kNever : heap_.front().at; }
  // Removes the earliest due deadline and returns it; null if none is due.
  Deadline* PopDue(Timestamp now) {
    if (heap_.empty() || heap_.front().at > now) return nullptr;
    Deadline* due = heap_.front().deadline;
    Remove(*due);
    return due;
  }
  size_t size() const { return heap_.size(); }

 private:
  // The time stands beside the pointer: sifting looks at nothing else.
  struct Entry {
    Timestamp at;
    Deadline* deadline;
  };

  void Remove(Deadline& deadline) {
    if (deadline.heap_ == nullptr) return;
    const uint32_t place = deadline.place_;
    deadline.heap_ = nullptr;
    deadline.place_ = Deadline::kNowhere;
    deadline.at_ = kNever;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (last.deadline == &deadline) return;
    Put(last, place);
    Up(place);
    Down(last.deadline->place_);
  }
  void Put(const Entry& entry, uint32_t place) {
    heap_[place] = entry;
    entry.deadline->place_ = place;
  }
  void Up(uint32_t place) {
    const Entry moved = heap_[place];
    while (place > 0) {
      const uint32_t parent = (place - 1) / 2;
      if (heap_[parent].at <= moved.at) break;
      Put(heap_[parent], place);
      place = parent;
    }
    Put(moved, place);
  }
  void Down(uint32_t place) {
    const Entry moved = heap_[place];
    const auto size = static_cast<uint32_t>(heap_.size());
    for (uint32_t child = 2 * place + 1; child < size; child = 2 * place + 1) {
      if (child + 1 < size && heap_[child + 1].at < heap_[child].at) ++child;
      if (moved.at <= heap_[child].at) break;
      Put(heap_[child], place);
      place = child;
    }
    Put(moved, place);
  }

  std::vector<Entry> heap_;
};

}  // namespace nexus
