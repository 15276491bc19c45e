// A queue of relay batches from all other shards' threads to one shard's thread. The order of each sender is
// kept and no batch is refused: while the queue is full, senders leave packets out of their batches.
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
  // Swaps all queued batches into `taken`; the storage of `taken` is reused for the next ones.
  void Take(std::vector<Batch>& taken) {
    taken.clear();
    const std::lock_guard lock(mutex_);
    event_.Clear();
    std::swap(taken, batches_);
    bytes_.store(0, std::memory_order_relaxed);
  }
  bool full() const { return bytes_.load(std::memory_order_relaxed) > kFullBytes; }

 private:
  // Bytes that one core can process in a tenth of a second.
  static constexpr size_t kFullBytes = 32u << 20;
  KernelEvent event_;
  std::mutex mutex_;
  std::vector<Batch> batches_;
  std::atomic<size_t> bytes_{0};
};

// The queues of all shards of an engine.
using RelayMesh = std::vector<std::unique_ptr<RelayQueue>>;

}  // namespace nexus
