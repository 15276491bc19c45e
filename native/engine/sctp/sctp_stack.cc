#include "engine/sctp/sctp_stack.h"

#include <usrsctp.h>

#include <algorithm>

#include "engine/sctp/sctp_association.h"

namespace nexus {
namespace {

// Settings of all associations of the process. Times are in milliseconds.
void Configure() {
  // Features without use here: there is one address, DTLS authenticates, and no middlebox can mark or drop
  // chunks.
  usrsctp_sysctl_set_sctp_ecn_enable(0);
  usrsctp_sysctl_set_sctp_asconf_enable(0);
  usrsctp_sysctl_set_sctp_auth_enable(0);
  usrsctp_sysctl_set_sctp_nrsack_enable(0);
  usrsctp_sysctl_set_sctp_pktdrop_enable(0);
  usrsctp_sysctl_set_sctp_cmt_on_off(0);
  usrsctp_sysctl_set_sctp_blackhole(2);  // no ABORT without an association: the peer may be closing
  // RFC 9260 section 16 recommends 1 s, which is too long for real-time peers (RFC 8831 section 6.1).
  usrsctp_sysctl_set_sctp_rto_min_default(300);
  usrsctp_sysctl_set_sctp_rto_initial_default(500);
  usrsctp_sysctl_set_sctp_rto_max_default(10'000);
  usrsctp_sysctl_set_sctp_init_rto_max_default(4'000);
  usrsctp_sysctl_set_sctp_delayed_sack_time_default(20);
  usrsctp_sysctl_set_sctp_sack_freq_default(2);
  // An initial window of ten packets, as in TCP (RFC 6928), saves three round trips for a message of 256 KiB.
  usrsctp_sysctl_set_sctp_initial_cwnd(10);
  usrsctp_sysctl_set_sctp_max_burst_default(10);
  // Maximum number of chunks that wait for reassembly. The largest message has about 240.
  usrsctp_sysctl_set_sctp_max_chunks_on_queue(512);
  // No free lists, because the allocator has its own.
  usrsctp_sysctl_set_sctp_system_free_resc_limit(0);
  usrsctp_sysctl_set_sctp_asoc_free_resc_limit(0);
}

}  // namespace

std::vector<SctpAssociation*> SctpWakeList::Take() {
  std::vector<SctpAssociation*> taken;
  const std::lock_guard lock(SctpStack::Get().mutex());
  std::swap(taken, waiting_);
  for (SctpAssociation* association : taken) association->outbox_.listed = false;
  return taken;
}

SctpStack& SctpStack::Get() {
  static SctpStack* const stack = new SctpStack;
  return *stack;
}

SctpStack::SctpStack() {
  usrsctp_init_nothreads(0, &SctpStack::Output, nullptr);
  Configure();
}

void* SctpStack::Register(SctpAssociation& association, SctpOutbox& outbox, SctpWakeList& wake) {
  // No timers ran without associations; that time is not made up for.
  if (entries_.empty()) timers_run_ = kNever;
  void* const name = reinterpret_cast<void*>(++last_name_);
  entries_[name] = {&association, &outbox, &wake};
  usrsctp_register_address(name);
  return name;
}

void SctpStack::Unregister(void* name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  std::erase(found->second.wake->waiting_, found->second.association);
  usrsctp_deregister_address(name);
  entries_.erase(found);
}

// usrsctp calls this from inside our calls, so the lock is held.
int SctpStack::Output(void* name, void* packet, size_t size, uint8_t, uint8_t) {
  SctpStack& stack = Get();
  const auto found = stack.entries_.find(name);
  if (found == stack.entries_.end()) return 0;
  SctpOutbox& outbox = *found->second.outbox;
  if (outbox.packets.size() >= outbox.max_packets) {
    ++outbox.dropped;
    return 0;
  }
  const auto* bytes = static_cast<const uint8_t*>(packet);
  outbox.packets.emplace_back(bytes, bytes + size);
  if (!outbox.listed) {
    outbox.listed = true;
    found->second.wake->waiting_.push_back(found->second.association);
  }
  return 0;
}

void SctpStack::RunTimers(Timestamp now) {
  const std::lock_guard lock(mutex_);
  if (timers_run_ == kNever || now < timers_run_) timers_run_ = now;
  const auto elapsed = std::chrono::floor<std::chrono::milliseconds>(now - timers_run_);
  if (elapsed.count() == 0) return;
  timers_run_ += elapsed;
  usrsctp_handle_timers(static_cast<uint32_t>(std::min<int64_t>(elapsed.count(), UINT32_MAX)));
}

}  // namespace nexus
