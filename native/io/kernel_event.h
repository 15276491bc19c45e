// A descriptor that is readable while it is set (eventfd).
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

namespace nexus {

class KernelEvent {
 public:
  KernelEvent() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~KernelEvent() { close(fd_); }
  KernelEvent(const KernelEvent&) = delete;
  KernelEvent& operator=(const KernelEvent&) = delete;

  int fd() const { return fd_; }
  void Set() { eventfd_write(fd_, 1); }
  void Clear() {
    eventfd_t value = 0;
    eventfd_read(fd_, &value);
  }

 private:
  const int fd_;
};

}  // namespace nexus
