// The parsers of data channels: the opening of a channel (RFC 8832) and the envelope. Accepted input must be
// the same after it has been written and parsed again.
#include <cstdlib>

#include "engine/sctp/data_envelope.h"
#include "engine/sctp/dcep.h"

using namespace nexus;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView bytes(data, size);
  if (const auto options = ParseDataChannelOpen(bytes)) {
    if (ParseDataChannelOpen(WriteDataChannelOpen(*options)) != options) std::abort();
  }
  (void)IsDataChannelAck(bytes);
  if (const auto envelope = ParseDataEnvelope(bytes)) {
    const std::vector<uint8_t> written = WriteDataEnvelope(*envelope);
    if (!std::equal(written.begin(), written.end(), bytes.begin(), bytes.end())) std::abort();
  }
  return 0;
}
