// A bounded queue of commands for one shard's thread, with a descriptor that wakes the thread.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <mutex>
#include <utility>
#include <vector>

#include "engine/control/command.h"

namespace nexus {

class CommandQueue {
 public:
  explicit CommandQueue(size_t max_commands)
      : max_commands_(max_commands), fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~CommandQueue() { close(fd_); }
  CommandQueue(const CommandQueue&) = delete;
  CommandQueue& operator=(const CommandQueue&) = delete;

  int fd() const { return fd_; }
  // False if the queue is full.
  bool Push(Command command) {
    const std::lock_guard lock(mutex_);
    if (commands_.size() >= max_commands_) return false;
    commands_.push_back(std::move(command));
    if (commands_.size() == 1) eventfd_write(fd_, 1);
    return true;
  }
  void Wake() { eventfd_write(fd_, 1); }
  // Swaps all queued commands into `taken`; the storage of `taken` is reused for the next ones.
  void Take(std::vector<Command>& taken) {
    taken.clear();
    eventfd_t value = 0;
    const std::lock_guard lock(mutex_);
    eventfd_read(fd_, &value);
    std::swap(taken, commands_);
  }

 private:
  const size_t max_commands_;
  const int fd_;
  std::mutex mutex_;
  std::vector<Command> commands_;
};

}  // namespace nexus
