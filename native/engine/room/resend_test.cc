// NACK and RTX towards a subscriber, byte by byte (RFC 4585 section 6.2.1, RFC 4588): hard problem 5, and two
// faults that the field notes report of another server (section 1.2), which ignored every second number of a
// NACK and all NACKs of a compound but the first.
#include <gtest/gtest.h>

#include <numeric>

#include "testing/emulated_options.h"
#include "testing/one_to_one.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

EmulatedCallOptions Options(uint64_t seed) {
  EmulatedCallOptions options = EmulatedOptions(seed);
  options.shard.bandwidth = {.start_bps = 50'000'000, .min_bps = 50'000'000, .max_bps = 50'000'000};
  return options;
}

// A camera and a viewer over a network without loss or limit, so that only the test requests retransmissions
// and nothing probes.
struct Screening {
  explicit Screening(TestCall& emulated)
      : call(emulated),
        pair(call, {MediaKind::kVideo}, {}, {.transport_feedback = false}),
        publisher(pair.publisher),
        viewer(pair.subscriber) {
    viewer.peer->fraction_lost = 0;
  }
  ReceivedStream& seen() { return pair.video(); }
  // `count` sequence numbers that end `back` before the newest.
  std::vector<uint16_t> Newest(size_t count, int64_t back = 3) {
    std::vector<uint16_t> numbers;
    const int64_t last = seen().packets.rbegin()->first - back;
    for (int64_t i = last - static_cast<int64_t>(count) + 1; i <= last; ++i) {
      numbers.push_back(static_cast<uint16_t>(i));
    }
    return numbers;
  }
  // The number of packets that the shard retransmits for these blocks.
  size_t Request(const std::vector<std::vector<uint16_t>>& blocks) {
    const size_t before = seen().rtx_sequences.size();
    viewer.peer->SendNacks(seen().ssrc, blocks);
    call.RunFor(milliseconds(50));
    return seen().rtx_sequences.size() - before;
  }
  void ExpectContinuousRtx() {
    const std::vector<int64_t>& numbers = seen().rtx_sequences;
    for (size_t i = 1; i < numbers.size(); ++i) {
      EXPECT_EQ(static_cast<uint16_t>(numbers[i]), static_cast<uint16_t>(numbers[i - 1] + 1));
    }
  }

  TestCall& call;
  OneToOne<TestPeer> pair;
  Member& publisher;
  Member& viewer;
};

TEST(Resend, EveryNumberOfANackIsAnswered) {
  TestCall call(Options(1));
  Screening screening(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(3));  // the first probes of the path are retransmissions too
  const uint64_t before = screening.seen().duplicates;
  for (const size_t count : {1, 2, 3, 17, 40}) {
    call.RunFor(seconds(1));
    EXPECT_EQ(screening.Request({screening.Newest(count)}), count);
  }
  EXPECT_EQ(screening.seen().duplicates - before, 1u + 2 + 3 + 17 + 40);
  EXPECT_EQ(screening.seen().altered, 0u) << "the original, byte for byte";
  screening.ExpectContinuousRtx();
}

TEST(Resend, EveryNackOfACompoundIsAnswered) {
  TestCall call(Options(2));
  Screening screening(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  EXPECT_EQ(screening.Request({screening.Newest(3, 60), screening.Newest(17, 30), screening.Newest(2)}), 22u);
  EXPECT_EQ(screening.seen().altered, 0u);
  screening.ExpectContinuousRtx();
}

TEST(Resend, NumbersAreFoundAcrossTheWrap) {
  TestCall call(Options(3));
  Screening screening(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(milliseconds(500));
  const auto newest = [&] { return screening.seen().packets.rbegin()->first; };
  const auto fast_forward = [&](int64_t until) {
    while (newest() < until) {
      const auto packets = static_cast<size_t>(std::min<int64_t>(until - newest(), 60));
      screening.publisher.peer->SendVideoFrame(*screening.publisher.video, call.now(), packets);
      call.RunFor(milliseconds(12));
      if (screening.seen().packets.size() > 2000) {
        screening.seen().packets.erase(screening.seen().packets.begin(),
                                       std::prev(screening.seen().packets.end(), 500));
      }
    }
  };
  const int64_t wrap = (newest() / 65'536 + 1) * 65'536;
  fast_forward(wrap - 20);
  ASSERT_TRUE(call.RunUntil(seconds(2), [&] { return newest() > wrap + 12; }));
  for (const size_t count : {1, 2, 3, 17}) {
    std::vector<uint16_t> across(count);
    std::iota(across.begin(), across.end(), static_cast<uint16_t>(wrap - static_cast<int64_t>(count / 2)));
    EXPECT_EQ(screening.Request({across}), count);
  }
  EXPECT_EQ(screening.seen().altered, 0u);
  screening.ExpectContinuousRtx();
}

// A NACK that was in flight during a rebind requests packets of the old source, and is answered.
TEST(Resend, ANackFromBeforeASwitchIsAnsweredWithTheOldSource) {
  TestCall call(Options(4));
  Screening screening(call);
  Member& other = call.Join();
  call.Publish(other, MediaKind::kVideo);
  call.StartMedia(other);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  const uint32_t old_source = screening.seen().packets.rbegin()->second.csrc;
  call.Command(BindSlot{screening.viewer.slots[0].id, other.video_track});
  const auto shows_other = [&] { return screening.seen().packets.rbegin()->second.csrc != old_source; };
  ASSERT_TRUE(call.RunUntil(seconds(2), shows_other));
  const int64_t first_of_new =
      std::find_if(screening.seen().packets.begin(), screening.seen().packets.end(), [&](const auto& p) {
        return p.second.csrc != old_source;
      })->first;
  std::vector<uint16_t> across;
  for (int64_t i = first_of_new - 12; i < first_of_new + 3; ++i) {
    if (screening.seen().packets.contains(i)) across.push_back(static_cast<uint16_t>(i));
  }
  EXPECT_EQ(screening.Request({across}), across.size());
  EXPECT_EQ(screening.seen().altered, 0u) << "packets of the old source keep its CSRC";
  screening.ExpectContinuousRtx();
}

TEST(Resend, APacketIsRetransmittedOncePerRoundTripAndAFewTimes) {
  TestCall call(Options(5));
  call.network().conditions.delay = milliseconds(50);
  Screening screening(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(3));  // a report has measured the round trip
  const std::vector<uint16_t> one = screening.Newest(1);
  const size_t before = screening.seen().rtx_sequences.size();
  const auto request_for = [&](milliseconds time) {
    for (const Timestamp end = call.now() + time; call.now() < end;) {
      screening.viewer.peer->SendNacks(screening.seen().ssrc, {one, one});
      call.RunFor(milliseconds(10));
    }
    return screening.seen().rtx_sequences.size() - before;
  };
  EXPECT_EQ(request_for(milliseconds(190)), 1u) << "the second arrives two round trips after the first NACK";
  const size_t answers = request_for(milliseconds(1'710));
  EXPECT_GE(answers, 4u);
  EXPECT_LE(answers, SlotHistoryConfig{}.max_resends);
}

// Every packet is requested repeatedly: retransmissions are limited to a share of the media.
TEST(Resend, AStormIsBoundedAndCounted) {
  TestCall call(Options(6));
  Screening screening(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  call.Every(milliseconds(15), [&] {
    // 150 numbers back.
    for (int64_t back = 0; back < 150; back += 50) {
      screening.viewer.peer->SendNacks(screening.seen().ssrc, {screening.Newest(50, back)});
    }
  });
  const size_t media_before = screening.seen().packets.size();
  const size_t rtx_before = screening.seen().rtx_sequences.size();
  call.RunFor(seconds(30));
  const size_t media = screening.seen().packets.size() - media_before;
  const size_t resent = screening.seen().rtx_sequences.size() - rtx_before;
  EXPECT_GT(media, 2000u);
  const RetransmissionBudgetConfig budget;
  const size_t bound = media * budget.share_percent / 100 +
                       (budget.burst_bytes + 30 * budget.floor_bytes_per_second) / 1000 + 100;
  EXPECT_LT(resent, bound);
  EXPECT_GT(call.shard().drops()[DropReason::kResendLimited], 1000u);
  EXPECT_EQ(screening.seen().altered, 0u);
  screening.ExpectContinuousRtx();
}

// Numbers that were never sent, of a slot that sends nothing, or of an unknown SSRC.
TEST(Resend, ForeignNumbersAreNotAnswered) {
  TestCall call(Options(7));
  Screening screening(call);
  call.AddSlot(screening.viewer, MediaKind::kVideo);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(3));
  for (const Member::Slot& slot : screening.viewer.slots) slot.stream->rtx_sequences.clear();
  const auto newest = static_cast<uint16_t>(screening.seen().packets.rbegin()->first);
  EXPECT_EQ(
      screening.Request({{static_cast<uint16_t>(newest + 1000), static_cast<uint16_t>(newest + 30'000)}}),
      0u);
  screening.viewer.peer->SendNacks(screening.viewer.slots[1].stream->ssrc, {{1, 2, 3}});
  screening.viewer.peer->SendNacks(Ssrc{42}, {{newest}});
  call.RunFor(milliseconds(100));
  EXPECT_TRUE(screening.viewer.slots[1].stream->rtx_sequences.empty());
  EXPECT_TRUE(screening.seen().rtx_sequences.empty());
}

}  // namespace
}  // namespace nexus::testing
