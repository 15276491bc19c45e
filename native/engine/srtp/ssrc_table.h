// A bounded table of replay windows by SSRC: if it is full, the least recently used SSRC is evicted in
// constant time, and its roll-over counter is lost: the stream cannot be opened after a roll-over. This
// happens only if an authenticated peer invents SSRCs, and affects only its own streams.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>

#include "engine/srtp/replay_window.h"

namespace nexus {

class SsrcTable {
 public:
  explicit SsrcTable(size_t max_size) : max_size_(max_size == 0 ? 1 : max_size) {}

  // Null if the SSRC is unknown.
  const ReplayWindow* Find(uint32_t ssrc) const {
    const auto found = entries_.find(ssrc);
    return found == entries_.end() ? nullptr : &found->second->window;
  }

  // The window of an authenticated packet's SSRC, created if it is new. `evicted` counts evictions.
  ReplayWindow& Touch(uint32_t ssrc, uint64_t& evicted) {
    if (const auto found = entries_.find(ssrc); found != entries_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return found->second->window;
    }
    if (entries_.size() == max_size_) {
      entries_.erase(order_.back().ssrc);
      order_.splice(order_.begin(), order_, std::prev(order_.end()));
      order_.front() = Entry{ssrc, {}};
      ++evicted;
    } else {
      order_.push_front(Entry{ssrc, {}});
    }
    entries_[ssrc] = order_.begin();
    return order_.front().window;
  }

  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    uint32_t ssrc;
    ReplayWindow window;
  };
  size_t max_size_;
  std::list<Entry> order_;  // most recently used first
  std::unordered_map<uint32_t, std::list<Entry>::iterator> entries_;
};

}  // namespace nexus
