// RFC 4571 framing: whatever arrives in whatever pieces, packets stay within their bound and nothing else is
// buffered.
#include <cstdlib>
#include <vector>

#include "io/tcp_frame_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t piece = 1 + data[0];
  std::vector<uint8_t> stream(data + 1, data + size);
  nexus::TcpFrameReader reader;
  size_t handed_out = 0;
  for (size_t at = 0; at < stream.size(); at += piece) {
    const size_t length = std::min(piece, stream.size() - at);
    const bool sound =
        reader.Feed(nexus::MutableByteView(stream).subspan(at, length), [&](nexus::MutableByteView packet) {
          if (packet.empty() || packet.size() > nexus::TcpFrameReader::kMaxPacket) std::abort();
          handed_out += packet.size();
        });
    if (reader.held() > nexus::TcpFrameReader::kMaxPacket + 2) std::abort();
    if (!sound) break;
  }
  if (handed_out > stream.size()) std::abort();
  return 0;
}
