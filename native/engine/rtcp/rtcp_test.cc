// RTCP: written packets are read back, invalid lengths cause no overrun, and NACKs are complete.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "engine/rtcp/rtcp_reader.h"
#include "engine/rtcp/rtcp_writer.h"
#include "testing/pcap.h"
#include "testing/random.h"

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

struct Read {
  std::vector<RtcpItem> items;
  bool malformed = false;
};

Read ReadAll(ByteView packet) {
  Read read;
  RtcpReader reader(packet);
  while (auto item = reader.Next()) read.items.push_back(*item);
  read.malformed = reader.malformed();
  return read;
}

std::vector<uint16_t> NackedIn(ByteView packet) {
  std::vector<uint16_t> numbers;
  for (const RtcpItem& item : ReadAll(packet).items) {
    if (const Nack* nack = std::get_if<Nack>(&item)) nack->ForEach([&](uint16_t n) { numbers.push_back(n); });
  }
  return numbers;
}

TEST(RtcpCompound, IsReadBackAsWritten) {
  std::array<uint8_t, 1500> buffer;
  RtcpCompoundWriter writer(buffer);
  ReportBlock block;
  block.source = Ssrc{9};
  block.fraction_lost = 12;
  block.cumulative_lost = -5;
  block.extended_highest_sequence = 0x1FFFF;
  block.jitter = 33;
  block.last_sr = 44;
  block.delay_since_last_sr = 55;
  ASSERT_TRUE(writer.AddSenderReport({Ssrc{1}, NtpTime{0x0102030405060708}, 90'000, 10, 1000}, {{block}}));
  ASSERT_TRUE(writer.AddReceiverReport(Ssrc{2}, {{block}}));
  ASSERT_TRUE(writer.AddCname(Ssrc{1}, "abc"));
  ASSERT_TRUE(writer.AddPli(Ssrc{1}, Ssrc{5}));
  ASSERT_TRUE(writer.AddFir(Ssrc{1}, Ssrc{6}, 7));
  ASSERT_TRUE(writer.AddBye(Ssrc{1}));
  const Read read = ReadAll(writer.bytes());
  EXPECT_FALSE(read.malformed);
  ASSERT_EQ(read.items.size(), 6u);
  const auto& sr = std::get<SenderReport>(read.items[0]);
  EXPECT_EQ(sr.ntp.value, 0x0102030405060708u);
  EXPECT_EQ(sr.rtp_timestamp, 90'000u);
  EXPECT_EQ(sr.packet_count, 10u);
  EXPECT_EQ(sr.octet_count, 1000u);
  const auto& rr = std::get<ReceiverReport>(read.items[1]);
  ASSERT_EQ(rr.blocks.size(), 1u);
  EXPECT_EQ(rr.blocks[0].cumulative_lost, -5);
  EXPECT_EQ(rr.blocks[0].fraction_lost, 12);
  EXPECT_EQ(rr.blocks[0].extended_highest_sequence, 0x1FFFFu);
  EXPECT_EQ(rr.blocks[0].delay_since_last_sr, 55u);
  EXPECT_EQ(std::get<SdesCname>(read.items[2]).cname, "abc");
  EXPECT_EQ(std::get<PictureLoss>(read.items[3]).media, Ssrc{5});
  EXPECT_EQ(std::get<FullIntra>(read.items[4]).target(0), Ssrc{6});
  EXPECT_EQ(std::get<FullIntra>(read.items[4]).sequence(0), 7);
  EXPECT_EQ(std::get<Goodbye>(read.items[5])[0], Ssrc{1});
}

TEST(RtcpCompound, NeverGrowsBeyondTheMtu) {
  std::array<uint8_t, 4000> buffer;
  RtcpCompoundWriter writer(buffer);
  int added = 0;
  while (writer.AddPli(Ssrc{1}, Ssrc{2})) ++added;
  EXPECT_EQ(added, 100);
  EXPECT_EQ(writer.bytes().size(), kRtcpMtu);
  EXPECT_FALSE(writer.AddBye(Ssrc{1}));
  EXPECT_EQ(ReadAll(writer.bytes()).items.size(), 100u);
}

TEST(RtcpCompound, PadsEveryLengthOfCname) {
  for (size_t size = 0; size <= 255; ++size) {
    std::array<uint8_t, 1200> buffer;
    RtcpCompoundWriter writer(buffer);
    const std::string cname(size, 'x');
    ASSERT_TRUE(writer.AddCname(Ssrc{3}, cname));
    ASSERT_TRUE(writer.AddBye(Ssrc{3}));
    const Read read = ReadAll(writer.bytes());
    ASSERT_EQ(read.items.size(), 2u) << size;
    EXPECT_EQ(std::get<SdesCname>(read.items[0]).cname, cname);
    EXPECT_FALSE(read.malformed);
  }
}

// Every NACKed number counts, from every start around the wrap, for 1, 2, 3 and 17 consecutive numbers.
TEST(RtcpNack, IsCompleteAroundTheWrap) {
  for (uint32_t start = 65'500; start < 65'560; ++start) {
    for (const size_t count : {1, 2, 3, 17, 18, 40}) {
      std::vector<uint16_t> lost;
      for (size_t i = 0; i < count; ++i) lost.push_back(static_cast<uint16_t>(start + i));
      std::array<uint8_t, 1200> buffer;
      RtcpCompoundWriter writer(buffer);
      ASSERT_EQ(writer.AddNack(Ssrc{1}, Ssrc{2}, lost), count);
      EXPECT_EQ(NackedIn(writer.bytes()), lost) << start << " " << count;
    }
  }
}

// A compound with two NACK packets of two blocks each: all four blocks count.
TEST(RtcpNack, AllBlocksOfAllPacketsCount) {
  std::array<uint8_t, 1200> buffer;
  RtcpCompoundWriter writer(buffer);
  const std::vector<uint16_t> first = {10, 11, 100, 116};
  const std::vector<uint16_t> second = {65'535, 0, 500};
  ASSERT_EQ(writer.AddNack(Ssrc{1}, Ssrc{2}, first), 4u);
  ASSERT_EQ(writer.AddNack(Ssrc{1}, Ssrc{3}, second), 3u);
  EXPECT_EQ(NackedIn(writer.bytes()), (std::vector<uint16_t>{10, 11, 100, 116, 65'535, 0, 500}));
}

TEST(RtcpNack, ReturnsHowManyNumbersFit) {
  std::vector<uint16_t> lost;
  for (int i = 0; i < 1000; ++i) lost.push_back(static_cast<uint16_t>(i * 20));
  std::array<uint8_t, 1200> buffer;
  RtcpCompoundWriter writer(buffer);
  const size_t told = writer.AddNack(Ssrc{1}, Ssrc{2}, lost);
  EXPECT_EQ(told, (kRtcpMtu - 12) / 4);
  EXPECT_EQ(NackedIn(writer.bytes()).size(), told);
  EXPECT_EQ(writer.AddNack(Ssrc{1}, Ssrc{2}, lost), 0u);
}

TEST(RtcpReader, ReadsRemb) {
  const Bytes remb = {0x8F, 206, 0,   5,   0, 0,    0,    1,    0, 0, 0, 0,
                      'R',  'E', 'M', 'B', 1, 0x07, 0xFF, 0xFF, 0, 0, 0, 9};
  const Read read = ReadAll(remb);
  ASSERT_EQ(read.items.size(), 1u);
  EXPECT_EQ(std::get<Remb>(read.items[0]).bitrate_bps, uint64_t{0x3FFFF} << 1);
  Bytes absurd = remb;
  absurd[17] = 0xFF;
  EXPECT_TRUE(ReadAll(absurd).items.empty());
}

TEST(RtcpReader, SkipsUnknownPackets) {
  std::array<uint8_t, 1200> buffer;
  RtcpCompoundWriter writer(buffer);
  const Bytes xr = {0x80, 207, 0, 1, 0, 0, 0, 1};
  const Bytes unknown = {0x81, 250, 0, 1, 0, 0, 0, 1};
  ASSERT_TRUE(writer.AddPacket(xr));
  ASSERT_TRUE(writer.AddPacket(unknown));
  ASSERT_TRUE(writer.AddPli(Ssrc{1}, Ssrc{2}));
  RtcpReader reader(writer.bytes());
  const auto item = reader.Next();
  ASSERT_TRUE(item);
  EXPECT_TRUE(std::holds_alternative<PictureLoss>(*item));
  EXPECT_FALSE(reader.Next());
  EXPECT_EQ(reader.skipped(), 2u);
}

TEST(RtcpReader, ReturnsTheItemsBeforeAnInvalidLength) {
  std::array<uint8_t, 1200> buffer;
  RtcpCompoundWriter writer(buffer);
  ASSERT_TRUE(writer.AddPli(Ssrc{1}, Ssrc{2}));
  ASSERT_TRUE(writer.AddPacket(Bytes{0x81, 206, 0, 9, 0, 0, 0, 1}));
  const Read read = ReadAll(writer.bytes());
  EXPECT_EQ(read.items.size(), 1u);
  EXPECT_TRUE(read.malformed);
}

TEST(RtcpReader, RemovesAndChecksPadding) {
  const Bytes good = {0xA1, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4};
  EXPECT_EQ(ReadAll(good).items.size(), 1u);
  Bytes bad = good;
  bad[15] = 0;
  EXPECT_TRUE(ReadAll(bad).malformed);
  bad[15] = 13;
  EXPECT_TRUE(ReadAll(bad).malformed);
}

TEST(RtcpReader, ReducesReportCountsAboveTheContent) {
  std::array<uint8_t, 1200> buffer;
  RtcpCompoundWriter writer(buffer);
  ASSERT_TRUE(writer.AddReceiverReport(Ssrc{2}, {{ReportBlock{}}}));
  buffer[0] = 0x80 | 31;
  const Read read = ReadAll(writer.bytes());
  ASSERT_EQ(read.items.size(), 1u);
  EXPECT_EQ(std::get<ReceiverReport>(read.items[0]).blocks.size(), 1u);
}

TEST(NtpTime, KeepsMicroseconds) {
  for (const int64_t us : {0l, 1l, 999'999l, 1'000'000l, 3'900'000'000'123'456l}) {
    EXPECT_EQ(NtpTime::FromMicros(us).micros(), us);
  }
  const Timestamp now = TimestampFromMicros(123'456'789);
  EXPECT_EQ(TimestampFromNtp(NtpFromTimestamp(now)), now);
  EXPECT_EQ(NtpTime{0x0000000100000000}.compact(), 0x10000u);
}

void ReadEverything(ByteView packet) {
  RtcpReader reader(packet);
  size_t sum = 0;
  while (const auto item = reader.Next()) {
    if (const auto* nack = std::get_if<Nack>(&*item)) nack->ForEach([&](uint16_t n) { sum += n; });
    if (const auto* twcc = std::get_if<TwccFeedbackView>(&*item)) {
      twcc->ForEach([&](uint16_t n, std::optional<Duration>) { sum += n; });
    }
    if (const auto* rr = std::get_if<ReceiverReport>(&*item)) {
      for (size_t i = 0; i < rr->blocks.size(); ++i) sum += rr->blocks[i].jitter;
    }
    if (const auto* sdes = std::get_if<SdesCname>(&*item)) sum += sdes->cname.size();
  }
  EXPECT_GE(sum, 0u);
}

// Hard problem 24: inputs that crashed other parsers.
TEST(RtcpReader, SurvivesTheCorpus) {
  NEXUS_LOAD_CAPTURE(unused, "vp8.pcap");
  size_t files = 0;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(*unused_data / "corpora" / "rtcp_fuzzer")) {
    if (!file.is_regular_file()) continue;
    std::ifstream stream(file.path(), std::ios::binary);
    const Bytes bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    ReadEverything(bytes);
    ++files;
  }
  EXPECT_GT(files, 50u);
}

TEST(RtcpReader, SurvivesRandomBytes) {
  testing::Random random(2);
  for (int round = 0; round < 20'000; ++round) {
    Bytes packet(random.Below(100));
    for (uint8_t& byte : packet) byte = static_cast<uint8_t>(random.Next());
    if (packet.size() >= 4) {
      packet[0] = static_cast<uint8_t>(0x80 | (packet[0] & 0x3F));
      packet[1] = static_cast<uint8_t>(200 + random.Below(8));
      packet[2] = 0;
      packet[3] = static_cast<uint8_t>(random.Below(1 + packet.size() / 4));
    }
    ReadEverything(packet);
  }
}

}  // namespace
}  // namespace nexus
