// A second reading of both directions of one association by libsrtp, compared with our own SRTP.
#pragma once

#include <vector>

#include "engine/srtp/srtp_keys.h"
#include "testing/libsrtp.h"

namespace nexus::testing {

class SrtpWitness {
 public:
  SrtpWitness(const SrtpKeys& keys, bool dtls_client);

  // Returns the packet that libsrtp opens; empty when libsrtp refuses it. Throws if the client disagrees:
  // whether it `opened` the packet, and which plain bytes it left at the front of `in_place`.
  std::vector<uint8_t> OpenIncoming(const std::vector<uint8_t>& sealed, bool opened, ByteView in_place);
  // Throws if libsrtp refuses a packet that the client has sealed, except as a replay.
  void OpenOutgoing(const std::vector<uint8_t>& sealed);

 private:
  Libsrtp incoming_;
  Libsrtp outgoing_;
};

}  // namespace nexus::testing
