#include "io/room_spread.h"

#include <gtest/gtest.h>

namespace nexus {
namespace {

uint16_t First(const std::vector<uint16_t>& shards) { return shards.front(); }

TEST(RoomSpread, FillsTheHomeThenOthersThenTheLeastLoaded) {
  RoomSpread room(1);
  std::vector<uint16_t> placed;
  uint32_t issued[3] = {0, 0, 0};
  for (int i = 0; i < 9; ++i) {
    const uint16_t shard = room.Place(2, 3, First);
    if (!room.Has(shard)) room.Add(shard);
    room.AddTransport(issued[shard]++ * 3 + shard + 1);
    placed.push_back(shard);
  }
  EXPECT_EQ(placed, (std::vector<uint16_t>{1, 1, 0, 0, 2, 2, 1, 0, 2}));
  EXPECT_EQ(room.shards(), (std::vector<uint16_t>{1, 0, 2}));
}

TEST(RoomSpread, ALeavingTransportMakesRoomAtHome) {
  RoomSpread room(0);
  room.AddTransport(1);
  room.AddTransport(3);
  EXPECT_EQ(room.Place(2, 2, First), 1);
  room.RemoveTransport(1);
  EXPECT_EQ(room.Place(2, 2, First), 0);
}

TEST(RoomSpread, StaysAtHomeWithoutAShare) {
  RoomSpread room(1);
  for (uint32_t id = 1; id < 200; ++id) room.AddTransport(id);
  EXPECT_EQ(room.Place(0, 4, First), 1);
}

}  // namespace
}  // namespace nexus
