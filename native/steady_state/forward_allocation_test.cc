// Forwarding in the steady state does not allocate memory.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

// If they are inlined, the compiler takes the pair below for mismatched allocators.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {

thread_local bool counting = false;
thread_local uint64_t allocations = 0;

}  // namespace

// Replaces operator new for the whole program, so this test has its own program. It does not run under
// sanitizers, which replace it too.
void* operator new(size_t size) {
  allocations += counting ? 1 : 0;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace nexus::testing {
namespace {

using std::chrono::seconds;

TEST(ForwardAllocation, CountsAllocations) {
  allocations = 0;
  operator delete(operator new(1));
  EXPECT_EQ(allocations, 0u);
  counting = true;
  operator delete(operator new(1));
  counting = false;
  EXPECT_EQ(allocations, 1u);
}

TEST(ForwardAllocation, MediaInSteadyStateAllocatesNothing) {
  EmulatedCallOptions options = EmulatedOptions(8);
  options.around_media = [](bool begin) { counting = begin; };
  TestCall call(options);
  Member& publisher = call.Join();
  call.Publish(publisher, MediaKind::kVideo);
  call.Publish(publisher, MediaKind::kAudio);
  publisher.video->options.packets_per_frame = 6;
  publisher.video->options.uneven = 1;
  call.StartMedia(publisher);
  for (int i = 0; i < 4; ++i) {
    Member& viewer = call.Join();
    call.AddSlot(viewer, MediaKind::kVideo);
    call.AddSlot(viewer, MediaKind::kAudio);
    call.StartMedia(viewer);
    call.Command(BindSlot{viewer.slots[0].id, publisher.video_track});
  }
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(15));
  const uint64_t datagrams = call.datagrams_from_server;
  allocations = 0;
  call.RunFor(seconds(5));
  EXPECT_GT(call.datagrams_from_server - datagrams, 3'000u);
  EXPECT_EQ(allocations, 0u);
}

}  // namespace
}  // namespace nexus::testing
