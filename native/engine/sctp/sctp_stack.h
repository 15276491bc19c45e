// usrsctp, which is global to the process: one lock around every call into it, one table of who is who, one
// clock.
//
// Confession: this is the engine's one place that shards share. usrsctp keeps its associations, its timers
// and its configuration in globals; it runs here without threads of its own, so that it does something only
// when it is called: packets go in, time goes on, and what it wants to send lands in the outbox of the
// association it belongs to. A timer may be run by another shard than the association's own; then the outbox
// is filled under the lock and the owner is told by its wake list. It measures round trips by gettimeofday,
// as OpenSSL does; tests interpose that.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/base/time.h"

namespace nexus {

class SctpAssociation;

// Associations of one owner (a shard) that have packets to send, each once.
class SctpWakeList {
 public:
  std::vector<SctpAssociation*> Take();

 private:
  friend class SctpStack;
  std::vector<SctpAssociation*> waiting_;
};

// What usrsctp gave out for one association.
struct SctpOutbox {
  std::deque<std::vector<uint8_t>> packets;
  size_t max_packets = 0;
  uint64_t dropped = 0;  // as if the network had lost them
  bool listed = false;   // in the wake list
};

class SctpStack {
 public:
  // Made at first use and never destroyed: usrsctp cannot be started twice.
  static SctpStack& Get();

  std::mutex& mutex() { return mutex_; }

  // Below: with the lock held. The name stands for the association wherever usrsctp speaks of an address; it
  // is a number that is never given out again, so that what comes late for one that is gone finds nobody.
  void* Register(SctpAssociation& association, SctpOutbox& outbox, SctpWakeList& wake);
  void Unregister(void* name);

  // Takes the lock. Time never goes back within a process but for tests that begin anew.
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
