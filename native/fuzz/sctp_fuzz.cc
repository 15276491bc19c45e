// A peer that has completed DTLS sends arbitrary SCTP packets to an established association: nothing breaks,
// and buffers stay within their bounds. The input is chunks (RFC 9260 section 3.2), each sequence after a
// 16-bit length; header, verification tag and checksum are made valid, because nothing would be processed
// otherwise.
#include <usrsctp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "engine/sctp/data_channels.h"

using namespace nexus;

namespace {

constexpr size_t kHeaderSize = 12;
constexpr size_t kChecksumAt = 8;

struct Ends {
  SctpWakeList wake;
  DataChannels server{SctpConfig{}, DataChannelLimits{}, false, 256u << 10, wake, nullptr};
  DataChannels client{SctpConfig{}, DataChannelLimits{}, true, 256u << 10, wake, nullptr};
  std::vector<uint8_t> header;  // of what the client sends

  void Exchange() {
    for (bool moved = true; moved;) {
      moved = false;
      while (const auto packet = client.PollTransmit()) {
        header.assign(packet->begin(), packet->begin() + kHeaderSize);
        server.HandlePacket(*packet);
        moved = true;
      }
      while (const auto packet = server.PollTransmit()) {
        client.HandlePacket(*packet);
        moved = true;
      }
      while (client.Poll()) {
      }
      while (server.Poll()) {
      }
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static int64_t now_ms = 1'000'000;
  Ends ends;
  ends.server.Connect();
  ends.client.Connect();
  ends.Exchange();
  if (!ends.server.up() || !ends.client.up()) std::abort();
  ends.client.Open({});
  ends.Exchange();
  ByteReader reader(ByteView(data, size));
  while (reader.remaining() > 2) {
    const size_t length = std::min<size_t>(reader.U16(), reader.remaining());
    const ByteView chunks = reader.Bytes(length);
    std::vector<uint8_t> packet = ends.header;
    packet.insert(packet.end(), chunks.begin(), chunks.end());
    std::fill_n(packet.begin() + kChecksumAt, 4, uint8_t{0});
    const uint32_t checksum = usrsctp_crc32c(packet.data(), packet.size());
    std::memcpy(packet.data() + kChecksumAt, &checksum, sizeof(checksum));
    ends.server.HandlePacket(packet);
    while (ends.server.Poll()) {
    }
    ends.server.Flush();
    SctpStack::Get().RunTimers(TimestampFromMicros((now_ms += 20) * 1'000));
    while (ends.server.PollTransmit()) {
    }
  }
  if (ends.server.channel_count() > DataChannelLimits{}.max_channels) std::abort();
  ends.wake.Take();
  return 0;
}
