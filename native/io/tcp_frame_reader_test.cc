// Framed packets are read back, however the stream is split; an invalid length ends it.
#include "io/tcp_frame_reader.h"

#include <gtest/gtest.h>

#include <random>

namespace nexus {
namespace {

using Packet = std::vector<uint8_t>;

Packet Framed(const std::vector<Packet>& packets) {
  Packet stream;
  for (const Packet& packet : packets) {
    stream.push_back(static_cast<uint8_t>(packet.size() >> 8));
    stream.push_back(static_cast<uint8_t>(packet.size()));
    stream.insert(stream.end(), packet.begin(), packet.end());
  }
  return stream;
}

struct Taken {
  std::vector<Packet> packets;
  bool Feed(TcpFrameReader& reader, Packet bytes) {
    return reader.Feed(bytes,
                       [&](MutableByteView packet) { packets.emplace_back(packet.begin(), packet.end()); });
  }
};

TEST(TcpFrameReader, ReassemblesPacketsHoweverTheStreamIsSplit) {
  std::mt19937_64 random(7);
  std::vector<Packet> packets;
  for (size_t i = 0; i < 300; ++i) {
    const size_t size = i % 7 == 0 ? TcpFrameReader::kMaxPacket : 1 + random() % 1500;
    packets.emplace_back(size, static_cast<uint8_t>(i));
  }
  const Packet stream = Framed(packets);
  for (const size_t most : {size_t{1}, size_t{2}, size_t{3}, size_t{1400}, size_t{65'536}}) {
    TcpFrameReader reader;
    Taken taken;
    for (size_t at = 0; at < stream.size();) {
      const size_t size = std::min<size_t>(1 + random() % most, stream.size() - at);
      const auto begin = stream.begin() + static_cast<ptrdiff_t>(at);
      ASSERT_TRUE(taken.Feed(reader, Packet(begin, begin + static_cast<ptrdiff_t>(size))));
      ASSERT_LE(reader.held(), TcpFrameReader::kMaxPacket + 2);
      at += size;
    }
    EXPECT_EQ(taken.packets, packets) << "pieces of at most " << most;
    EXPECT_EQ(reader.held(), 0u);
  }
}

TEST(TcpFrameReader, IgnoresEmptyPackets) {
  TcpFrameReader reader;
  Taken taken;
  EXPECT_TRUE(taken.Feed(reader, {0, 0, 0, 1, 42, 0}));
  EXPECT_TRUE(taken.Feed(reader, {0, 0, 1, 43}));
  EXPECT_EQ(taken.packets, (std::vector<Packet>{{42}, {43}}));
}

TEST(TcpFrameReader, AnInvalidLengthEndsTheStream) {
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{2}}) {
    const Packet stream = {0x10, 0x01, 0, 0};  // 4097
    TcpFrameReader reader;
    Taken taken;
    bool sound = taken.Feed(reader, Packet(stream.begin(), stream.begin() + static_cast<ptrdiff_t>(cut)));
    sound = sound && taken.Feed(reader, Packet(stream.begin() + static_cast<ptrdiff_t>(cut), stream.end()));
    EXPECT_FALSE(sound) << "cut at " << cut;
    EXPECT_TRUE(taken.packets.empty());
  }
}

}  // namespace
}  // namespace nexus
