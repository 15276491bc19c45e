// Frames assembled from packets in any order: generated frames against their source, captures of real
// browsers against ffmpeg.
#include "engine/client/jitter_buffer/frame_assembler.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "engine/base/unwrap.h"
#include "engine/client/packetizer.h"
#include "engine/rtp/rtp_packet.h"
#include "testing/ffmpeg.h"
#include "testing/pcap.h"
#include "testing/random.h"

namespace nexus {
namespace {

using testing::Random;
using Bytes = std::vector<uint8_t>;

struct OwnedPacket {
  AssemblerPacket packet;
  Bytes payload;
};

// An H.264 access unit, an AV1 temporal unit, or bytes that can be packetised as VP8 and VP9.
Bytes MakeFrame(Codec codec, bool key, size_t size, Random& random) {
  Bytes body;
  for (size_t i = 0; i < size; ++i)
    body.push_back(static_cast<uint8_t>(random.Next() | 0x80));  // no start code in it
  Bytes frame;
  const auto nal = [&](uint8_t type, size_t bytes) {
    frame.insert(frame.end(), {0, 0, 0, 1, type});
    frame.insert(frame.end(), body.begin(), body.begin() + static_cast<std::ptrdiff_t>(bytes));
  };
  const auto obu = [&](uint8_t type, size_t bytes) {
    frame.push_back(static_cast<uint8_t>(type << 3 | 2));
    for (size_t left = bytes;; left >>= 7) {
      frame.push_back(static_cast<uint8_t>((left & 0x7F) | (left > 0x7F ? 0x80 : 0)));
      if (left <= 0x7F) break;
    }
    frame.insert(frame.end(), body.begin(), body.begin() + static_cast<std::ptrdiff_t>(bytes));
  };
  switch (codec) {
    case Codec::kH264:
      if (key) nal(0x67, std::min<size_t>(size, 20)), nal(0x68, std::min<size_t>(size, 4));
      nal(key ? 0x65 : 0x41, size);
      break;
    case Codec::kAv1:
      frame = {0x12, 0x00};
      if (key) obu(1, std::min<size_t>(size, 11));
      obu(6, size);
      break;
    default:
      frame = body;
      frame[0] = static_cast<uint8_t>(key ? frame[0] & ~1 : frame[0] | 1);
  }
  return frame;
}

struct Stream {
  std::vector<Bytes> frames;
  std::vector<OwnedPacket> packets;
};

Stream MakeStream(Codec codec, size_t count, uint64_t seed) {
  Random random(seed);
  Packetizer packetizer({.codec = codec, .max_payload = 300, .first_picture_id = 0x7FF0});
  Stream stream;
  int64_t sequence = 65'536 + 100;
  for (size_t i = 0; i < count; ++i) {
    const bool key = i % 20 == 0;
    stream.frames.push_back(MakeFrame(codec, key, 30 + random.Below(key ? 3'000 : 1'200), random));
    FrameToSend frame;
    frame.bitstream = stream.frames.back();
    frame.keyframe = key;
    for (const PacketPayload& part : packetizer.Cut(frame)) {
      OwnedPacket owned;
      owned.payload = part.prefix;
      owned.payload.insert(owned.payload.end(), part.rest.begin(), part.rest.end());
      owned.packet.sequence_number = sequence++;
      owned.packet.timestamp = static_cast<int64_t>(i) * 3'000;
      owned.packet.marker = part.marker;
      stream.packets.push_back(std::move(owned));
    }
  }
  return stream;
}

class Assembling : public ::testing::TestWithParam<std::tuple<Codec, uint64_t>> {};

TEST_P(Assembling, EveryFrameIsRestoredWhateverTheOrderOfPackets) {
  const auto [codec, seed] = GetParam();
  Stream stream = MakeStream(codec, 100, seed);
  Random random(seed + 77);
  // Reordered within 30 packets, one in ten twice.
  std::vector<std::pair<int64_t, const OwnedPacket*>> order;
  for (size_t i = 0; i < stream.packets.size(); ++i) {
    order.emplace_back(static_cast<int64_t>(i) + random.Between(0, 30), &stream.packets[i]);
    if (random.Percent(10))
      order.emplace_back(static_cast<int64_t>(i) + random.Between(0, 60), &stream.packets[i]);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  FrameAssembler assembler(codec);
  std::map<int64_t, AssembledFrame> out;
  for (const auto& [at, owned] : order) {
    AssemblerPacket packet = owned->packet;
    packet.payload = owned->payload;
    assembler.Insert(packet);
    while (auto frame = assembler.Poll()) {
      const int64_t timestamp = frame->timestamp;
      EXPECT_TRUE(out.emplace(timestamp, std::move(*frame)).second) << "a frame was returned twice";
    }
    EXPECT_LE(assembler.held(), 1024u);
  }
  ASSERT_EQ(out.size(), stream.frames.size());
  EXPECT_EQ(assembler.held(), 0u);
  EXPECT_EQ(assembler.counters().broken_frames, 0u);
  int64_t next = 65'536 + 100;
  for (const auto& [timestamp, frame] : out) {
    const auto i = static_cast<size_t>(timestamp / 3'000);
    EXPECT_EQ(frame.bitstream, stream.frames[i]) << "frame " << i;
    EXPECT_EQ(frame.keyframe, i % 20 == 0) << i;
    EXPECT_EQ(frame.first_sequence, next);
    next = frame.last_sequence + 1;
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, Assembling,
                         ::testing::Combine(::testing::Values(Codec::kVp8, Codec::kVp9, Codec::kH264,
                                                              Codec::kAv1),
                                            ::testing::Range(uint64_t{1}, uint64_t{6})));

TEST(FrameAssembler, ALostPacketCostsItsFrameAndNoOther) {
  for (const Codec codec : {Codec::kVp8, Codec::kVp9, Codec::kH264, Codec::kAv1}) {
    Stream stream = MakeStream(codec, 40, 5);
    Random random(9);
    for (int round = 0; round < 20; ++round) {
      const size_t lost = random.Below(stream.packets.size());
      FrameAssembler assembler(codec);
      size_t frames = 0;
      for (size_t i = 0; i < stream.packets.size(); ++i) {
        if (i == lost) continue;
        AssemblerPacket packet = stream.packets[i].packet;
        packet.payload = stream.packets[i].payload;
        assembler.Insert(packet);
        while (auto frame = assembler.Poll()) ++frames;
      }
      // H.264 and AV1 payloads do not mark a frame's start, so the start of the frame after a lost marker is
      // unknown.
      EXPECT_GE(frames, 38u);
      EXPECT_LE(frames, 39u);
    }
  }
}

TEST(FrameAssembler, ProbesBetweenFramesHideNoLoss) {
  Stream stream = MakeStream(Codec::kH264, 30, 2);
  FrameAssembler assembler(Codec::kH264);
  int64_t probes = 0;
  size_t frames = 0;
  for (const OwnedPacket& owned : stream.packets) {
    AssemblerPacket packet = owned.packet;
    packet.sequence_number += probes;
    packet.payload = owned.payload;
    assembler.Insert(packet);
    if (packet.marker) {
      AssemblerPacket probe;
      probe.sequence_number = packet.sequence_number + 1;
      probe.timestamp = packet.timestamp;
      assembler.Insert(probe);
      EXPECT_EQ(assembler.SkipProbes(packet.sequence_number + 1), packet.sequence_number + 2);
      ++probes;
    }
    while (auto frame = assembler.Poll()) ++frames;
  }
  EXPECT_EQ(frames, 30u);
}

TEST(FrameAssembler, GarbageIsBoundedAndCounted) {
  for (const Codec codec : {Codec::kVp8, Codec::kVp9, Codec::kH264, Codec::kAv1}) {
    FrameAssembler assembler(codec, {.packets = 64, .max_waiting_frames = 8});
    Random random(3);
    for (int i = 0; i < 50'000; ++i) {
      Bytes payload(random.Below(40));
      for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random.Next());
      AssemblerPacket packet;
      packet.sequence_number = 65'536 + i + random.Between(-100, 100);
      packet.timestamp = random.Between(0, 3) + i / 4;
      packet.marker = random.Percent(30);
      packet.payload = payload;
      assembler.Insert(packet);
      EXPECT_LE(assembler.held(), 64u);
      if (random.Percent(50)) (void)assembler.Poll();
      if (random.Percent(1)) assembler.DropBefore(packet.sequence_number);
    }
  }
}

// IVF for VP8, VP9 and AV1 (32-byte head, 12 bytes a frame); Annex B is a file already.
void WriteFile(const std::string& path, const char* fourcc, const std::vector<AssembledFrame>& frames) {
  std::ofstream file(path, std::ios::binary);
  const auto little = [&](uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file.put(static_cast<char>(value >> (8 * i)));
  };
  if (fourcc != nullptr) {
    file.write("DKIF", 4);
    little(0, 2), little(32, 2);
    file.write(fourcc, 4);
    little(640, 2), little(480, 2), little(90'000, 4), little(1, 4), little(frames.size(), 4), little(0, 4);
  }
  for (const AssembledFrame& frame : frames) {
    if (fourcc != nullptr)
      little(frame.bitstream.size(), 4), little(static_cast<uint64_t>(frame.timestamp), 8);
    file.write(reinterpret_cast<const char*>(frame.bitstream.data()),
               static_cast<std::streamsize>(frame.bitstream.size()));
  }
}

struct CapturedCodec {
  friend void PrintTo(const CapturedCodec& captured, std::ostream* out) { *out << captured.file; }
  Codec codec;
  const char* file;
  const char* fourcc;
  size_t at_least;  // frames before the capture's first loss
  // Some large packets of the VP9 and H.264 captures are damaged in themselves (another depacketiser gives
  // the same bytes, and libvpx finds the same tile corrupt): there the decoder may complain.
  bool damaged = false;
};

class CapturedFrames : public ::testing::TestWithParam<CapturedCodec> {};

TEST_P(CapturedFrames, AreDecodableByFfmpeg) {
  NEXUS_LOAD_CAPTURE(capture, GetParam().file);
  FrameAssembler assembler(GetParam().codec);
  Unwrapper<uint16_t> sequence;
  Unwrapper<uint32_t> timestamp;
  std::vector<AssembledFrame> frames;
  for (const auto& datagram : capture) {
    const auto view = ParseRtp(datagram.bytes);
    if (!view) continue;
    AssemblerPacket packet;
    packet.sequence_number = sequence.Unwrap(view->header().sequence_number);
    packet.timestamp = timestamp.Unwrap(view->header().timestamp);
    packet.marker = view->header().marker;
    packet.payload = view->payload();
    assembler.Insert(packet);
    // The VP9 and H.264 captures have lost packets of their own, and one aggregate that was cut off: a
    // decoder can follow until the first of them.
    while (auto frame = assembler.Poll()) {
      if (frames.empty() || frame->first_sequence == frames.back().last_sequence + 1)
        frames.push_back(std::move(*frame));
    }
  }
  EXPECT_EQ(assembler.counters().broken_frames, 0u);
  EXPECT_LE(assembler.counters().unreadable, 1u);
  EXPECT_GE(frames.size(), GetParam().at_least);
  ASSERT_FALSE(frames.empty());
  EXPECT_TRUE(frames.front().keyframe);
  if (!testing::HasFfmpeg()) GTEST_SKIP() << "ffmpeg is not installed";
  const std::string path = ::testing::TempDir() + "assembled_" + std::to_string(getpid()) + "." +
                           (GetParam().fourcc != nullptr ? "ivf" : "h264");
  WriteFile(path, GetParam().fourcc, frames);
  const std::string strict = GetParam().damaged ? "" : "-xerror -err_detect explode ";
  const std::string command =
      "ffmpeg -v error " + strict + "-i " + path + " -f null - > " + path + ".log 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << path;
  std::ifstream log(path + ".log");
  const std::string said((std::istreambuf_iterator<char>(log)), std::istreambuf_iterator<char>());
  if (!GetParam().damaged) {
    EXPECT_EQ(said, "");
  }
  if (HasFailure()) return;  // the file is left to be looked at
  std::remove(path.c_str());
  std::remove((path + ".log").c_str());
}

INSTANTIATE_TEST_SUITE_P(Codecs, CapturedFrames,
                         ::testing::Values(CapturedCodec{Codec::kVp8, "vp8.pcap", "VP80", 100},
                                           CapturedCodec{Codec::kVp9, "vp9.pcap", "VP90", 15, true},
                                           CapturedCodec{Codec::kH264, "h264.pcap", nullptr, 100, true},
                                           CapturedCodec{Codec::kAv1, "av1.pcap", "AV01", 40}),
                         [](const auto& info) { return std::string(CodecName(info.param.codec)); });

}  // namespace
}  // namespace nexus
