// The send queue: retransmissions first, bounds, and media that is emptied because it was overtaken.
#include "engine/subscribe/send_queue.h"

#include <gtest/gtest.h>

namespace nexus {
namespace {

QueuedPacket Waiting(uint32_t ssrc, int64_t sequence, std::optional<int64_t> rtx = std::nullopt) {
  QueuedPacket packet;
  packet.stream.ssrc = Ssrc{ssrc};
  packet.source_sequence = sequence;
  packet.rtx_sequence = rtx;
  packet.size = 1'000;
  return packet;
}

TEST(SendQueue, GivesRetransmissionsFirst) {
  SendQueue queue;
  EXPECT_TRUE(queue.Push(Waiting(1, 10)));
  EXPECT_TRUE(queue.Push(Waiting(1, 5, 7)));
  EXPECT_EQ(queue.bytes(), 2'000u);
  EXPECT_EQ(queue.Pop()->source_sequence, 5);
  EXPECT_EQ(queue.Pop()->source_sequence, 10);
  EXPECT_FALSE(queue.Pop());
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(SendQueue, BoundsEachLane) {
  SendQueue queue;
  for (size_t i = 0; i < SendQueue::kMaxPackets; ++i) EXPECT_TRUE(queue.Push(Waiting(1, 1)));
  EXPECT_FALSE(queue.Push(Waiting(1, 1)));
  for (size_t i = 0; i < SendQueue::kMaxRetransmissions; ++i) EXPECT_TRUE(queue.Push(Waiting(1, 1, 1)));
  EXPECT_FALSE(queue.Push(Waiting(1, 1, 1)));
}

// The numbers of what is overtaken still go out: no receiver asks for them.
TEST(SendQueue, MakesTheMediaOfOneStreamEmptyAndForgetsItsRetransmissions) {
  SendQueue queue;
  queue.Push(Waiting(1, 1));
  queue.Push(Waiting(2, 2));
  queue.Push(Waiting(1, 3, 7));
  queue.Push(Waiting(2, 4, 8));
  EXPECT_EQ(queue.MakeEmpty(Ssrc{1}), 2u);
  EXPECT_EQ(queue.MakeEmpty(Ssrc{1}), 0u);
  EXPECT_EQ(queue.bytes(), 2'000u + kTypicalOverhead);
  EXPECT_EQ(queue.Pop()->source_sequence, 4);
  EXPECT_TRUE(queue.Pop()->rewritten.empty);
  EXPECT_FALSE(queue.Pop()->rewritten.empty);
  EXPECT_EQ(queue.bytes(), 0u);
}

}  // namespace
}  // namespace nexus
