#include "engine/room/deadline_heap.h"

namespace nexus {

Deadline::~Deadline() {
  if (heap_ != nullptr) heap_->Remove(*this);
}

void DeadlineHeap::Set(Deadline& deadline, Timestamp at) {
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

Deadline* DeadlineHeap::PopDue(Timestamp now) {
  if (heap_.empty() || heap_.front().at > now) return nullptr;
  Deadline* due = heap_.front().deadline;
  Remove(*due);
  return due;
}

void DeadlineHeap::Remove(Deadline& deadline) {
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

void DeadlineHeap::Put(const Entry& entry, uint32_t place) {
  heap_[place] = entry;
  entry.deadline->place_ = place;
}

void DeadlineHeap::Up(uint32_t place) {
  const Entry moved = heap_[place];
  while (place > 0) {
    const uint32_t parent = (place - 1) / 2;
    if (heap_[parent].at <= moved.at) break;
    Put(heap_[parent], place);
    place = parent;
  }
  Put(moved, place);
}

void DeadlineHeap::Down(uint32_t place) {
  const Entry moved = heap_[place];
  const uint32_t size = static_cast<uint32_t>(heap_.size());
  for (uint32_t child = 2 * place + 1; child < size; child = 2 * place + 1) {
    if (child + 1 < size && heap_[child + 1].at < heap_[child].at) ++child;
    if (moved.at <= heap_[child].at) break;
    Put(heap_[child], place);
    place = child;
  }
  Put(moved, place);
}

}  // namespace nexus
