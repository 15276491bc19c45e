// Audio: selection of the audible sources and their placement, tested in generated rooms against the rules.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/audio/audio_level_smoother.h"
#include "engine/audio/loudest_selector.h"
#include "engine/audio/slot_placement.h"
#include "testing/random.h"

namespace nexus {
namespace {

Timestamp At(int64_t ms) { return TimestampFromMicros(ms * 1000); }

TEST(AudioLevelSmoother, RisesFastAndFallsSlowly) {
  AudioLevelSmoother smoother;
  EXPECT_EQ(smoother.level_dbov(At(0)), -127);
  EXPECT_TRUE(smoother.silent(At(0)));
  for (int64_t ms = 0; ms < 1000; ms += 20) smoother.OnLevel(100, At(ms));
  EXPECT_TRUE(smoother.silent(At(1000)));
  for (int64_t ms = 1000; ms < 1100; ms += 20) smoother.OnLevel(20, At(ms));
  EXPECT_GT(smoother.level_dbov(At(1100)), -25);
  EXPECT_FALSE(smoother.silent(At(1100)));
  for (int64_t ms = 1100; ms < 1200; ms += 20) smoother.OnLevel(100, At(ms));
  EXPECT_GT(smoother.level_dbov(At(1200)), -60) << "a pause between words is not silence";
  EXPECT_FALSE(smoother.silent(At(1200)));
  for (int64_t ms = 1200; ms < 2500; ms += 20) smoother.OnLevel(100, At(ms));
  EXPECT_LT(smoother.level_dbov(At(2500)), -95);
  EXPECT_TRUE(smoother.silent(At(2500)));
}

TEST(AudioLevelSmoother, IsSilentWhenPacketsStop) {
  AudioLevelSmoother smoother;
  smoother.OnLevel(10, At(0));
  EXPECT_FALSE(smoother.silent(At(100)));
  EXPECT_TRUE(smoother.silent(At(501)));
  EXPECT_EQ(smoother.level_dbov(At(501)), -127);
  smoother.OnLevel(30, At(2000));
  EXPECT_EQ(smoother.level_dbov(At(2000)), -30) << "starts from the new level";
}

TEST(AudioLevelSmoother, LimitsTheLevelThatASourceClaims) {
  AudioLevelSmoother smoother;
  for (int64_t ms = 0; ms < 1000; ms += 20) smoother.OnLevel(0, At(ms));
  EXPECT_EQ(smoother.level_dbov(At(1000)), -10);
}

TEST(AudioLevelSmoother, RemembersTheLastSpeechUntilMuted) {
  AudioLevelSmoother smoother;
  EXPECT_FALSE(smoother.spoke_at());
  smoother.OnLevel(30, At(100));
  smoother.OnLevel(127, At(120));
  EXPECT_EQ(smoother.spoke_at(), At(100));
  smoother.Reset();
  EXPECT_FALSE(smoother.spoke_at());
  EXPECT_TRUE(smoother.silent(At(130)));
}

// DTX: a packet every 400 ms, one of which is lost. The source stays silent and its level does not change.
TEST(AudioLevelSmoother, DiscontinuousTransmissionIsSilence) {
  AudioLevelSmoother smoother;
  smoother.OnLevel(25, At(0));
  for (const int64_t ms : {400, 800, 1600, 2000}) {
    smoother.OnLevel(127, At(ms));
    EXPECT_TRUE(smoother.silent(At(ms)));
    EXPECT_LT(smoother.level_dbov(At(ms)), -50);
  }
  EXPECT_EQ(smoother.spoke_at(), At(0));
  smoother.OnLevel(25, At(2020));
  EXPECT_FALSE(smoother.silent(At(2020))) << "the first word is audible at once";
}

AudioCandidate Speaks(uint32_t track, double level) {
  return {TrackId{track}, level, false, TransportId{track}};
}
AudioCandidate Silent(uint32_t track, double level = -100) {
  return {TrackId{track}, level, true, TransportId{track}};
}
AudioCandidate Pauses(uint32_t track, int64_t spoke_ms, double level = -100) {
  return {TrackId{track}, level, true, TransportId{track}, At(spoke_ms)};
}

std::set<uint32_t> Chosen(const LoudestSelector& selector) {
  std::set<uint32_t> tracks;
  for (const TrackId track : selector.selected()) tracks.insert(track.value);
  return tracks;
}

TEST(LoudestSelector, CutsNoSpeakerOffInMidWord) {
  LoudestSelector selector({2, 6, Duration(1'000'000)});
  const std::vector<AudioCandidate> two = {Speaks(1, -40), Speaks(2, -45), Silent(3)};
  EXPECT_TRUE(selector.Update(two, At(0)));
  const std::vector<AudioCandidate> shout = {Speaks(1, -40), Speaks(2, -45), Speaks(3, -5)};
  EXPECT_FALSE(selector.Update(shout, At(5000)));
  EXPECT_EQ(Chosen(selector), (std::set<uint32_t>{1, 2}));
  const std::vector<AudioCandidate> pause = {Speaks(1, -40), Silent(2), Speaks(3, -5)};
  EXPECT_TRUE(selector.Update(pause, At(5100)));
  EXPECT_EQ(Chosen(selector), (std::set<uint32_t>{1, 3}));
}

TEST(LoudestSelector, HoldsAChoiceAndRequiresADifference) {
  LoudestSelector selector({1, 6, Duration(1'000'000)});
  selector.Update(std::vector{Speaks(1, -40)}, At(0));
  EXPECT_FALSE(selector.Update(std::vector{Silent(1, -60), Speaks(2, -30)}, At(900)));
  EXPECT_FALSE(selector.Update(std::vector{Silent(1, -60), Speaks(2, -55)}, At(1100))) << "only 5 dB louder";
  EXPECT_TRUE(selector.Update(std::vector{Silent(1, -60), Speaks(2, -54)}, At(1200)));
}

TEST(LoudestSelector, KeepsAPausingSpeakerBeforeOneSilentForLonger) {
  LoudestSelector selector({2, 6, Duration(1'000'000)});
  selector.Update(std::vector{Speaks(1, -20), Speaks(2, -30)}, At(0));
  // 2 stopped long ago and has a noisy room; 1 has just stopped, and DTX does not even send its silence.
  EXPECT_TRUE(selector.Update(std::vector{Pauses(1, 9'500, -127), Pauses(2, 1'000, -60), Speaks(3, -30)},
                              At(10'000)));
  EXPECT_EQ(Chosen(selector), (std::set<uint32_t>{1, 3}));
}

// A client may publish many tracks and report a high level for each.
TEST(LoudestSelector, OnePublisherCannotTakeEveryPlace) {
  LoudestSelector selector({3, 6, Duration(1'000'000)});
  std::vector<AudioCandidate> candidates;
  for (uint32_t track = 1; track <= 10; ++track) {
    candidates.push_back({TrackId{track}, -10, false, TransportId{7}});
  }
  candidates.push_back(Speaks(20, -40));
  selector.Update(candidates, At(0));
  EXPECT_EQ(Chosen(selector), (std::set<uint32_t>{1, 2, 20}));
  candidates.push_back(Silent(30));
  candidates.erase(candidates.begin());
  selector.Update(candidates, At(100));
  EXPECT_EQ(Chosen(selector), (std::set<uint32_t>{2, 3, 20})) << "another track of the publisher replaces it";
}

TEST(LoudestSelector, ASourceThatLeavesIsRemovedAtOnce) {
  LoudestSelector selector({1, 6, Duration(1'000'000)});
  selector.Update(std::vector{Speaks(1, -20), Speaks(2, -30)}, At(0));
  EXPECT_EQ(Chosen(selector), (std::set<uint32_t>{1}));
  EXPECT_TRUE(selector.Update(std::vector{Speaks(2, -30)}, At(1)));
  EXPECT_EQ(Chosen(selector), (std::set<uint32_t>{2}));
  EXPECT_TRUE(selector.Update({}, At(2)));
  EXPECT_TRUE(selector.selected().empty());
}

TEST(LoudestSelector, TheOrderOfCandidatesDoesNotMatter) {
  testing::Random random(1);
  LoudestSelector one;
  LoudestSelector other;
  std::set<uint32_t> before;
  for (int step = 0; step < 2000; ++step) {
    std::vector<AudioCandidate> candidates;
    for (uint32_t track = 0; track < 12; ++track) {
      if (random.Percent(3)) continue;
      const double level = -static_cast<double>(random.Below(100));
      candidates.push_back({TrackId{track}, level, level < -50, TransportId{track}});
    }
    one.Update(candidates, At(step * 100));
    const bool present = std::all_of(before.begin(), before.end(), [&](uint32_t t) {
      return std::any_of(candidates.begin(), candidates.end(),
                         [&](const auto& c) { return c.track.value == t; });
    });
    for (const uint32_t track : before) {
      // A chosen source that speaks and is still present stays chosen.
      for (const AudioCandidate& c : candidates) {
        if (c.track.value == track && !c.silent) {
          ASSERT_TRUE(Chosen(one).count(track));
        }
      }
    }
    before = Chosen(one);
    ASSERT_EQ(before.size(), std::min<size_t>(3, candidates.size())) << present;
    std::reverse(candidates.begin(), candidates.end());
    other.Update(candidates, At(step * 100));
    ASSERT_EQ(Chosen(other), before);
  }
}

class Room {
 public:
  std::span<const AudioPlacementChange> Update() { return placement.Update(slots, selected); }
  std::optional<uint32_t> In(uint32_t slot) const {
    const auto track = placement.track_in(SlotId{slot});
    return track ? std::optional(track->value) : std::nullopt;
  }
  std::vector<AudioSlotState> slots;
  std::vector<SelectedAudio> selected;
  SlotPlacement placement;
};

AudioSlotState Pair(uint32_t slot, std::optional<uint32_t> shown) {
  return {SlotId{slot}, true, shown ? std::optional(ParticipantNumber{*shown}) : std::nullopt};
}
AudioSlotState Spare(uint32_t slot) { return {SlotId{slot}, false, std::nullopt}; }
SelectedAudio Selected(uint32_t track, bool silent = false) {
  return {TrackId{track}, ParticipantNumber{track}, silent};  // one track per participant, with its number
}

TEST(SlotPlacement, PrefersTheOwnersVideoThenASpareSlot) {
  Room room;
  room.slots = {Pair(1, 10), Pair(2, std::nullopt), Spare(3), Spare(4)};
  room.selected = {Selected(11), Selected(10)};
  EXPECT_EQ(room.Update().size(), 2u);
  EXPECT_EQ(room.In(1), 10u);
  EXPECT_EQ(room.In(3), 11u);
  EXPECT_TRUE(room.Update().empty()) << "nothing changed, nothing moves";
}

TEST(SlotPlacement, MovesOnlyInSilence) {
  Room room;
  room.slots = {Pair(1, std::nullopt), Spare(3)};
  room.selected = {Selected(10)};
  room.Update();
  EXPECT_EQ(room.In(3), 10u);
  room.slots[0] = Pair(1, 10);
  EXPECT_TRUE(room.Update().empty());
  room.selected = {Selected(10, true)};
  const auto changes = room.Update();
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].slot, SlotId{3});
  EXPECT_FALSE(changes[0].track);
  EXPECT_EQ(changes[1].slot, SlotId{1});
  EXPECT_EQ(room.In(1), 10u);
  EXPECT_EQ(room.In(3), std::nullopt);
}

TEST(SlotPlacement, ASilentGuestMakesRoom) {
  Room room;
  room.slots = {Pair(1, 10), Spare(3)};
  room.selected = {Selected(10)};
  room.Update();
  room.slots[0] = Pair(1, 11);  // another participant's video beside the audio of 10
  room.selected = {Selected(10), Selected(11)};
  room.Update();
  EXPECT_EQ(room.In(1), 10u);
  EXPECT_EQ(room.In(3), 11u);
  room.selected = {Selected(10, true), Selected(11, true)};
  room.Update();
  EXPECT_EQ(room.In(1), 11u);
  EXPECT_EQ(room.In(3), 10u);
}

TEST(SlotPlacement, UsesAnothersPairRatherThanNoSlot) {
  Room room;
  room.slots = {Pair(1, 10), Pair(2, 20)};
  room.selected = {Selected(30), Selected(31), Selected(32)};
  room.Update();
  EXPECT_EQ(room.placement.unplaced(), 1u);
  EXPECT_TRUE(room.In(1) && room.In(2));
}

// Invariants in generated rooms: no track is placed twice, every change is reported, a speaking source stays,
// and no source is left out while a slot is free.
TEST(SlotPlacement, KeepsItsRulesInGeneratedRooms) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    testing::Random random(seed);
    Room room;
    for (uint32_t i = 1; i <= 4; ++i) room.slots.push_back(Pair(i, std::nullopt));
    for (uint32_t i = 5; i <= 7; ++i) room.slots.push_back(Spare(i));
    std::map<uint32_t, uint32_t> told;  // slot -> track
    for (int step = 0; step < 500; ++step) {
      for (uint32_t i = 0; i < 4; ++i) {
        if (!random.Percent(10)) continue;
        room.slots[i] =
            Pair(i + 1, random.Percent(20) ? std::nullopt
                                           : std::optional(100 + static_cast<uint32_t>(random.Below(8))));
      }
      std::map<uint32_t, uint32_t> speaking_in;
      for (const auto& [slot, track] : told) speaking_in[track] = slot;
      std::vector<SelectedAudio> next;
      for (uint32_t track = 100; track < 108; ++track) {
        if (next.size() < 5 && random.Percent(60)) next.push_back(Selected(track, random.Percent(40)));
      }
      room.selected = next;
      for (const AudioPlacementChange& change : room.Update()) {
        if (change.track) {
          ASSERT_EQ(told.count(change.slot.value), 0u) << "unbinds come first";
          told[change.slot.value] = change.track->value;
        } else {
          ASSERT_EQ(told.erase(change.slot.value), 1u);
        }
      }
      std::set<uint32_t> placed;
      for (const auto& [slot, track] : told) {
        ASSERT_EQ(room.In(slot), track);
        ASSERT_TRUE(placed.insert(track).second) << "twice";
      }
      ASSERT_EQ(placed.size(), room.selected.size());
      ASSERT_EQ(room.placement.unplaced(), 0u);
      for (const SelectedAudio& source : room.selected) {
        ASSERT_TRUE(placed.count(source.track.value));
        const auto was = speaking_in.find(source.track.value);
        if (!source.silent && was != speaking_in.end()) {
          ASSERT_EQ(room.In(was->second), source.track.value) << "moved while it was audible";
        }
      }
    }
  }
}

}  // namespace
}  // namespace nexus
