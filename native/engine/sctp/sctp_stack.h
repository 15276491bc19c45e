// usrsctp, which is global to the process: one lock around every call, one table of associations, one clock.
//
// Limitation: this is the engine's only part that shards share. usrsctp has its associations, timers and
// configuration in globals. It runs without its own threads, so it acts only when it is called: packets come
// in, time passes, and its output is put into the association's outbox. A timer may be run by another shard
// than the association's; then the outbox is filled under the lock, and the owner learns of it by its wake
// list. usrsctp measures round trips by gettimeofday, as OpenSSL does; tests replace it.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/base/time.h"

namespace nexus {

class SctpAssociation;

// The part that passes one association's packets on.
class SctpOwner {
 public:
  // The association has packets to send. Called without the lock, by the reader of the wake list.
  virtual void Transmit() = 0;

 protected:
  ~SctpOwner() = default;
};

// Associations of one shard that have packets to send, each once.
class SctpWakeList {
 public:
  std::vector<SctpAssociation*> Take();

 private:
  friend class SctpStack;
  std::vector<SctpAssociation*> waiting_;
};

// Packets that usrsctp sends for one association.
struct SctpOutbox {
  std::deque<std::vector<uint8_t>> packets;
  size_t max_packets = 0;
  uint64_t dropped = 0;  // as if lost by the network
  bool listed = false;   // in the wake list
};

class SctpStack {
 public:
  // Created at first use and never destroyed: usrsctp cannot be restarted.
  static SctpStack& Get();

  std::mutex& mutex() { return mutex_; }

  // These two need the lock. The name represents the association where usrsctp expects an address; it is a
  // number that is never reused, so that late packets of a former association match no other.
  void* Register(SctpAssociation& association, SctpOutbox& outbox, SctpWakeList& wake);
  void Unregister(void* name);

  // Takes the lock. Time never goes back within a process, except in tests that restart it.
  void RunTimers(Timestamp now);

 private:
  SctpStack();
  static int Output(void* name, void* packet, size_t size, uint8_t tos, uint8_t set_df);

  struct Entry {
    SctpAssociation* association = nullptr;
    SctpOutbox* outbox = nullptr;
    SctpWakeList* wake = nullptr;
  };
  std::mutex mutex_;
  std::unordered_map<void*, Entry> entries_;
  uintptr_t last_name_ = 0;
  Timestamp timers_run_ = kNever;
};

}  // namespace nexus
