#include "testing/srtp_witness.h"

#include <algorithm>
#include <stdexcept>

#include "engine/rtp/demultiplexer.h"

namespace nexus::testing {
namespace {

std::vector<uint8_t> Open(Libsrtp& session, const std::vector<uint8_t>& sealed) {
  return Demultiplex(sealed) == Protocol::kRtcp ? session.OpenRtcp(sealed) : session.OpenRtp(sealed);
}

}  // namespace

SrtpWitness::SrtpWitness(const SrtpKeys& keys, bool dtls_client)
    : incoming_(keys.profile, dtls_client ? keys.server : keys.client, Libsrtp::Direction::kOpen),
      outgoing_(keys.profile, dtls_client ? keys.client : keys.server, Libsrtp::Direction::kOpen) {}

std::vector<uint8_t> SrtpWitness::OpenIncoming(const std::vector<uint8_t>& sealed, bool opened,
                                               ByteView in_place) {
  const std::vector<uint8_t> plain = Open(incoming_, sealed);
  if (opened == plain.empty()) {
    throw std::logic_error(opened ? "the client opens what libsrtp refuses"
                                  : "the client refuses what libsrtp opens");
  }
  if (!std::equal(plain.begin(), plain.end(), in_place.begin()))
    throw std::logic_error("the client opens a packet to other bytes than libsrtp");
  return plain;
}

void SrtpWitness::OpenOutgoing(const std::vector<uint8_t>& sealed) {
  if (Open(outgoing_, sealed).empty() && !outgoing_.refused_as_replay())
    throw std::logic_error("libsrtp refuses what the client has sealed");
}

}  // namespace nexus::testing
