// Relay batches on their way to one shard's thread, from the threads of all others. In order for each sender,
// never refused: a sender that finds it full stops putting packets into its batches until it has been
// emptied.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "io/kernel_event.h"

namespace nexus {

class RelayQueue {
 public:
  struct Batch {
    uint16_t from = 0;
    std::vector<uint8_t> bytes;
  };

  int fd() const { return event_.fd(); }
  void Push(uint16_t from, std::vector<uint8_t> bytes) {
    const std::lock_guard lock(mutex_);
    bytes_.fetch_add(bytes.size(), std::memory_order_relaxed);
    batches_.push_back({from, std::move(bytes)});
    if (batches_.size() == 1) event_.Set();
  }
  // All that wait, into `taken`, which is given back for the next ones.
  void Take(std::vector<Batch>& taken) {
    taken.clear();
    const std::lock_guard lock(mutex_);
    event_.Clear();
    std::swap(taken, batches_);
    bytes_.store(0, std::memory_order_relaxed);
  }
  bool full() const { return bytes_.load(std::memory_order_relaxed) > kFullBytes; }

 private:
  // A tenth of a second of what one core can take.
  static constexpr size_t kFullBytes = 32u << 20;
  KernelEvent event_;
  std::mutex mutex_;
  std::vector<Batch> batches_;
  std::atomic<size_t> bytes_{0};
};

// The queues of all shards of an engine.
using RelayMesh = std::vector<std::unique_ptr<RelayQueue>>;

}  // namespace nexus
