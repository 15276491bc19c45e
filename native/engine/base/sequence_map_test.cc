// Hard problem 4: numbers stay continuous without the probes that are left out, and late packets are mapped
// correctly.
#include "engine/base/sequence_map.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "testing/random.h"

namespace nexus {
namespace {

TEST(SequenceMap, AgreesWithANaiveModel) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    testing::Random random(seed);
    SequenceMap map;
    const int64_t first = random.Between(65'000, 70'000);
    const int64_t out = random.Between(0, 40'000);
    map.Start(first, out);
    std::set<int64_t> left_out;
    int64_t highest = first;
    for (int64_t next = first + 1; next < first + 400; next += random.Between(1, 3)) {
      if (random.Percent(15)) {
        map.LeaveOut(next);
        left_out.insert(next);
      } else {
        map.Seen(next);
      }
      highest = next;
      for (int64_t i = first - 5; i <= highest; ++i) {
        const auto mapped = map.Map(i);
        if (i < first || left_out.count(i)) {
          ASSERT_FALSE(mapped) << i;
          continue;
        }
        const auto below = std::distance(left_out.begin(), left_out.lower_bound(i));
        // A number before the remembered changes may be unmapped, but never mapped wrongly.
        if (!mapped) {
          ASSERT_GT(std::distance(left_out.lower_bound(i), left_out.end()), 20) << i;
          continue;
        }
        ASSERT_EQ(*mapped, out + (i - first) - below) << i;
      }
    }
  }
}

TEST(SequenceMap, ALongRowOfProbesIsOneChange) {
  SequenceMap map;
  map.Start(100, 5);
  for (int64_t i = 101; i < 5000; ++i) map.LeaveOut(i);
  EXPECT_EQ(map.Map(100), 5);
  EXPECT_EQ(map.Map(5000), 6);
  EXPECT_FALSE(map.Map(3000));
}

TEST(SequenceMap, MakesRoomBeforeANumber) {
  SequenceMap map;
  map.Start(100, 10);
  map.Seen(102);
  map.MakeRoom(104);
  map.Seen(104);
  map.MakeRoom(103);  // too late
  EXPECT_EQ(map.Map(102), 12);
  EXPECT_EQ(map.Map(103), 13);
  EXPECT_EQ(map.Map(104), 15);
  map.LeaveOut(105);
  map.MakeRoom(106);
  EXPECT_EQ(map.Map(105), std::nullopt);
  EXPECT_EQ(map.Map(106), 17);
  EXPECT_EQ(map.Map(104), 15);
}

TEST(SequenceMap, InsertedNumbersShiftWhatFollows) {
  SequenceMap map;
  map.Start(100, 500);
  map.Seen(103);
  map.Insert();
  map.Insert();
  EXPECT_EQ(map.Map(102), 502) << "late packets keep their number";
  EXPECT_EQ(map.Map(104), 506);
  map.Seen(104);
  map.LeaveOut(105);
  map.Insert();
  EXPECT_FALSE(map.Map(105));
  EXPECT_EQ(map.Map(106), 508);
  EXPECT_EQ(map.Map(104), 506);
  EXPECT_EQ(map.Map(103), 503);
}

}  // namespace
}  // namespace nexus
