#include "engine/room/deadline_heap.h"

namespace nexus {

Deadline::~Deadline() {
  if (heap_ != nullptr) heap_->Remove(*this);
}

void DeadlineHeap::Set(Deadline& deadline, Timestamp at) {
  if (at == kNever) return Remove(deadline);
  deadline.at_ = at;
  if (deadline.heap_ == nullptr) {
    deadline.heap_ = this;
    heap_.push_back(&deadline);
    deadline.place_ = static_cast<uint32_t>(heap_.size() - 1);
  }
  Up(deadline.place_);
  Down(deadline.place_);
}

Deadline* DeadlineHeap::PopDue(Timestamp now) {
  if (heap_.empty() || heap_.front()->at_ > now) return nullptr;
  Deadline* due = heap_.front();
  Remove(*due);
  return due;
}

void DeadlineHeap::Remove(Deadline& deadline) {
  if (deadline.heap_ == nullptr) return;
  const uint32_t place = deadline.place_;
  deadline.heap_ = nullptr;
  deadline.place_ = Deadline::kNowhere;
  deadline.at_ = kNever;
  Deadline* last = heap_.back();
  heap_.pop_back();
  if (last == &deadline) return;
  Put(last, place);
  Up(place);
  Down(last->place_);
}

void DeadlineHeap::Put(Deadline* deadline, uint32_t place) {
  heap_[place] = deadline;
  deadline->place_ = place;
}

void DeadlineHeap::Up(uint32_t place) {
  Deadline* moved = heap_[place];
  while (place > 0) {
    const uint32_t parent = (place - 1) / 2;
    if (heap_[parent]->at_ <= moved->at_) break;
    Put(heap_[parent], place);
    place = parent;
  }
  Put(moved, place);
}

void DeadlineHeap::Down(uint32_t place) {
  Deadline* moved = heap_[place];
  const uint32_t size = static_cast<uint32_t>(heap_.size());
  for (uint32_t child = 2 * place + 1; child < size; child = 2 * place + 1) {
    if (child + 1 < size && heap_[child + 1]->at_ < heap_[child]->at_) ++child;
    if (moved->at_ <= heap_[child]->at_) break;
    Put(heap_[child], place);
    place = child;
  }
  Put(moved, place);
}

}  // namespace nexus
