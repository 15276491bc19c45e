// Batches between shards and nodes: reads every message to its end, writes it and reads it again.
#include <cstddef>
#include <cstdlib>

#include "engine/relay/relay_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  nexus::RelayReader reader(nexus::ByteView(data, size));
  while (const auto message = reader.Next()) {
    std::vector<uint8_t> bytes;
    nexus::WriteRelay(*message, bytes);
    nexus::RelayReader again(bytes);
    const auto same = again.Next();
    if (!same || same->index() != message->index() || again.malformed()) std::abort();
  }
  return 0;
}
