// The small parts of the shard on their own.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "engine/base/deadline_heap.h"
#include "engine/room/codec_table.h"
#include "engine/room/command_check.h"
#include "engine/room/demultiplexer.h"
#include "engine/room/drop_reason.h"
#include "engine/room/run_builder.h"

namespace nexus {
namespace {

SocketAddress To(uint16_t port) { return *SocketAddress::Parse("192.0.2.9", port); }

std::vector<size_t> RunLengths(const RunBuilder& batch) {
  std::vector<size_t> lengths;
  for (const TransmitRun& run : batch.runs()) lengths.push_back(run.count);
  return lengths;
}

TEST(RunBuilder, AShorterPacketEndsARunAndALongerOneBeginsTheNext) {
  RunBuilder batch;
  RunCursor cursor;
  for (const size_t size : {100, 100, 90, 90, 95, 95, 95}) {
    ASSERT_TRUE(batch.Append(cursor, To(1), std::vector<uint8_t>(size)));
  }
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{3, 1, 3}));
}

TEST(RunBuilder, InterleavedDestinationsKeepTheirOwnRuns) {
  RunBuilder batch;
  std::array<RunCursor, 3> cursors;
  for (uint8_t round = 0; round < 5; ++round) {
    for (uint16_t i = 0; i < 3; ++i) batch.Append(cursors[i], To(i), std::vector<uint8_t>(50, round));
  }
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{5, 5, 5}));
  for (const TransmitRun& run : batch.runs()) {
    uint8_t expected = 0;
    for (uint32_t i = run.first; i != kNoPacket; i = batch.packet(i).next) {
      EXPECT_EQ(batch.packet(i).bytes[0], expected++);
    }
  }
}

TEST(RunBuilder, ARunHasAtMost64SegmentsAndFitsADatagram) {
  RunBuilder batch;
  RunCursor small;
  for (int i = 0; i < 130; ++i) batch.Append(small, To(1), std::vector<uint8_t>(10));
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{64, 64, 2}));
  batch.Clear();
  RunCursor large;
  for (int i = 0; i < 60; ++i) batch.Append(large, To(1), std::vector<uint8_t>(1400));
  for (const TransmitRun& run : batch.runs()) EXPECT_LE(run.bytes, kMaxRunBytes);
  EXPECT_EQ(batch.runs().size(), 2u);
}

// As SRTP leaves it: the SSRC is readable. The number tells where in its stream it stands.
std::vector<uint8_t> Media(uint32_t ssrc, uint16_t number, size_t size) {
  std::vector<uint8_t> packet(size);
  ByteWriter writer(packet);
  writer.U8(0x80), writer.U8(96), writer.U16(number), writer.U32(0), writer.U32(ssrc);
  return packet;
}

TEST(RunBuilder, AVoiceThatCameBeforeAPictureGoesBehindIt) {
  RunBuilder batch;
  RunCursor cursor;
  batch.Append(cursor, To(1), Media(1, 0, 80));
  for (uint16_t i = 0; i < 5; ++i) batch.Append(cursor, To(1), Media(2, i, 1'000));
  ASSERT_EQ(RunLengths(batch), (std::vector<size_t>{1, 5}));
  batch.Arrange();
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{0, 6}));
  EXPECT_EQ(batch.packet(batch.runs()[1].last).size, 80);
}

TEST(RunBuilder, AVoiceThatFoundItsPlaceTakenGoesBehindAnotherPicture) {
  RunBuilder batch;
  RunCursor cursor;
  for (uint16_t i = 0; i < 3; ++i) batch.Append(cursor, To(1), Media(1, i, 1'000));
  for (uint16_t i = 0; i < 3; ++i) batch.Append(cursor, To(1), Media(2, i, 1'100));
  batch.Append(cursor, To(1), Media(3, 0, 80));
  batch.Append(cursor, To(1), Media(4, 0, 80));
  ASSERT_EQ(RunLengths(batch), (std::vector<size_t>{3, 4, 1}));
  batch.Arrange();
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{4, 4, 0}));
}

TEST(RunBuilder, NothingOvertakesItsOwnStream) {
  RunBuilder batch;
  RunCursor cursor;
  batch.Append(cursor, To(1), Media(1, 0, 80));
  batch.Append(cursor, To(1), Media(1, 1, 90));
  batch.Append(cursor, To(1), Media(1, 2, 100));
  batch.Arrange();
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{1, 1, 1}));
}

TEST(RunBuilder, ArrangedBatchesKeepEveryPacketEveryStreamsOrderAndTheRulesOfRuns) {
  std::mt19937 random(7);
  for (int round = 0; round < 2'000; ++round) {
    RunBuilder batch;
    std::array<RunCursor, 2> cursors;
    std::map<uint32_t, uint16_t> sent;
    for (size_t i = random() % 30; i > 0; --i) {
      const uint32_t ssrc = 1 + random() % 6;
      const size_t size = random() % 2 ? 60 + random() % 3 : 1'000 + random() % 3;
      batch.Append(cursors[ssrc % 2], To(ssrc % 2), Media(ssrc, sent[ssrc]++, size));
    }
    const size_t before = batch.runs().size();
    batch.Arrange();
    std::map<uint32_t, uint16_t> seen;
    size_t runs = 0;
    for (const TransmitRun& run : batch.runs()) {
      runs += run.count > 0;
      size_t packets = 0;
      size_t bytes = 0;
      for (uint32_t i = run.first; i != kNoPacket; i = batch.packet(i).next) {
        const TransmitPacket& packet = batch.packet(i);
        ByteReader reader(ByteView(packet.bytes, packet.size).subspan(2));
        const uint16_t number = reader.U16();
        reader.U32();
        const uint32_t ssrc = reader.U32();
        EXPECT_EQ(number, seen[ssrc]++);
        EXPECT_EQ(run.destination, To(ssrc % 2));
        EXPECT_LE(packet.size, run.segment_size);
        EXPECT_TRUE(packet.next == kNoPacket || packet.size == run.segment_size);
        ++packets;
        bytes += packet.size;
      }
      EXPECT_EQ(packets, run.count);
      EXPECT_EQ(bytes, run.count > 0 ? run.bytes : 0);
    }
    EXPECT_EQ(seen, sent);
    EXPECT_LE(runs, before);
  }
}

TEST(RunBuilder, IsBoundedAndUsableAgainAfterClear) {
  RunBuilder batch(512 << 10);
  RunCursor cursor;
  size_t taken = 0;
  while (batch.Append(cursor, To(1), std::vector<uint8_t>(1200))) ++taken;
  EXPECT_GT(taken, 400u);
  EXPECT_LE(taken * 1200, 512u << 10);
  batch.Clear();
  EXPECT_TRUE(batch.empty());
  // An old cursor means nothing in a new batch.
  EXPECT_TRUE(batch.Append(cursor, To(1), std::vector<uint8_t>(1200)));
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{1}));
}

TEST(RunBuilder, SinglesAreNeverJoined) {
  RunBuilder batch;
  RunCursor cursor;
  batch.AppendSingle(To(1), std::vector<uint8_t>(20));
  batch.AppendSingle(To(1), std::vector<uint8_t>(20));
  batch.Append(cursor, To(1), std::vector<uint8_t>(20));
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{1, 1, 1}));
}

// Against a naive model: random moves, removals and deaths.
TEST(DeadlineHeap, GivesOutTheEarliestAlways) {
  constexpr uint64_t kSeed = 42;
  std::mt19937 random(kSeed);
  using Heap = DeadlineHeap<size_t>;
  Heap heap;
  std::vector<std::unique_ptr<Heap::Deadline>> all;
  for (size_t i = 0; i < 50; ++i) all.push_back(std::make_unique<Heap::Deadline>(i));
  for (int step = 0; step < 20'000; ++step) {
    const size_t which = random() % all.size();
    switch (random() % 8) {
      case 0:
        heap.Set(*all[which], kNever);
        break;
      case 1:
        all[which] = std::make_unique<Heap::Deadline>(which);
        break;
      case 2: {
        const Timestamp now = TimestampFromMicros(random() % 1000);
        const Timestamp earliest = heap.next();
        const Heap::Deadline* due = heap.PopDue(now);
        EXPECT_EQ(due != nullptr, earliest <= now);
        if (due != nullptr) {
          EXPECT_EQ(all[due->owner()].get(), due);
        }
        break;
      }
      default:
        heap.Set(*all[which], TimestampFromMicros(random() % 1000));
    }
    Timestamp earliest = kNever;
    size_t waiting = 0;
    for (const auto& deadline : all) {
      earliest = std::min(earliest, deadline->at());
      waiting += deadline->at() != kNever ? 1 : 0;
    }
    ASSERT_EQ(heap.next(), earliest) << "seed " << kSeed << " step " << step;
    ASSERT_EQ(heap.size(), waiting);
  }
}

TEST(Demultiplexer, FollowsRfc7983AndRfc5761) {
  const auto of = [](uint8_t first, uint8_t second) {
    const std::array<uint8_t, 2> bytes = {first, second};
    return Demultiplex(bytes);
  };
  EXPECT_EQ(of(0, 1), Protocol::kStun);
  EXPECT_EQ(of(3, 0), Protocol::kStun);
  EXPECT_EQ(of(4, 0), Protocol::kUnknown);
  EXPECT_EQ(of(19, 0), Protocol::kUnknown);
  EXPECT_EQ(of(20, 254), Protocol::kDtls);
  EXPECT_EQ(of(63, 254), Protocol::kDtls);
  EXPECT_EQ(of(64, 0), Protocol::kUnknown);
  EXPECT_EQ(of(128, 96), Protocol::kRtp);
  EXPECT_EQ(of(191, 224), Protocol::kRtp);
  EXPECT_EQ(of(128, 200), Protocol::kRtcp);
  EXPECT_EQ(of(128, 206), Protocol::kRtcp);
  EXPECT_EQ(of(192, 200), Protocol::kUnknown);
  EXPECT_EQ(Demultiplex({}), Protocol::kUnknown);
}

CodecBinding H264(uint8_t type, uint32_t profile, int mode) {
  CodecBinding binding;
  binding.payload_type = PayloadType{type};
  binding.codec = Codec::kH264;
  binding.clock_rate = 90'000;
  binding.h264_profile_level_id = profile;
  binding.h264_packetization_mode = mode;
  return binding;
}

// Hard problem 20: mismatched profile-level-id.
TEST(CodecTable, FindsTheBindingThatCanCarryAStream) {
  const CodecTable table({H264(100, 0x42E01F, 1), H264(102, 0x42E01F, 0), H264(104, 0x640C1F, 1)});
  ASSERT_NE(table.Matching(H264(50, 0x42E034, 1)), nullptr);
  EXPECT_EQ(table.Matching(H264(50, 0x42E034, 1))->payload_type.value, 100) << "the level may differ";
  EXPECT_EQ(table.Matching(H264(50, 0x42E01F, 0))->payload_type.value, 102);
  EXPECT_EQ(table.Matching(H264(50, 0x640C28, 1))->payload_type.value, 104);
  EXPECT_EQ(table.Matching(H264(50, 0x42001F, 1))->payload_type.value, 100)
      << "baseline to constrained baseline";
  EXPECT_EQ(table.Matching(H264(50, 0x4D001F, 1)), nullptr) << "main is neither";
  CodecBinding vp8;
  vp8.codec = Codec::kVp8;
  EXPECT_EQ(table.Matching(vp8), nullptr);
  EXPECT_EQ(table.ByPayloadType(PayloadType{102})->h264_packetization_mode, 0);
  EXPECT_EQ(table.ByPayloadType(PayloadType{200}), nullptr);
}

TEST(CommandCheck, RefusesWhatCannotBeRight) {
  EXPECT_FALSE(CheckIceCredentials({"abcd", std::string(22, 'p')}));
  EXPECT_TRUE(CheckIceCredentials({"abc", std::string(22, 'p')}));
  EXPECT_TRUE(CheckIceCredentials({"abcd", std::string(21, 'p')}));
  EXPECT_TRUE(CheckIceCredentials({"ab:d", std::string(22, 'p')}));
  std::string sha256 = "00";
  for (int i = 0; i < 31; ++i) sha256 += ":AB";
  EXPECT_FALSE(CheckFingerprints({{"SHA-256", sha256}}));
  EXPECT_FALSE(CheckFingerprints({{"md5", "x"}, {"sha-256", sha256}})) << "unknown hashes are ignored";
  EXPECT_TRUE(CheckFingerprints({}));
  EXPECT_TRUE(CheckFingerprints({{"sha-1", "00"}}));
  EXPECT_TRUE(CheckFingerprints({{"sha-256", sha256 + ":00"}}));
  CodecBinding vp8;
  vp8.payload_type = PayloadType{96};
  vp8.clock_rate = 90'000;
  EXPECT_FALSE(CheckCodecs({vp8}));
  EXPECT_TRUE(CheckCodecs({vp8, vp8}));
  vp8.rtx_payload_type = PayloadType{72};
  EXPECT_TRUE(CheckCodecs({vp8})) << "would be taken for RTCP (RFC 5761 section 4)";
  TrackSettings track;
  EXPECT_TRUE(CheckTrack(track));
  track.mid = "0";
  EXPECT_FALSE(CheckTrack(track));
}

TEST(DropReason, NamesAreDistinctWords) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    const std::string_view name = DropReasonName(static_cast<DropReason>(i));
    EXPECT_NE(name, "none");
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos) << name;
  }
}

}  // namespace
}  // namespace nexus
