// libsrtp's judgement of both directions of one association, beside our own implementation of SRTP.
#pragma once

#include <vector>

#include "engine/srtp/srtp_keys.h"
#include "testing/libsrtp.h"

namespace nexus::testing {

class SrtpWitness {
 public:
  SrtpWitness(const SrtpKeys& keys, bool dtls_client);

  // The plain packet as libsrtp opens it; empty when it refuses it. Throws when the client has judged
  // otherwise: whether it `opened` the packet, and which bytes it has left at the front of `in_place`.
  std::vector<uint8_t> OpenIncoming(const std::vector<uint8_t>& sealed, bool opened, ByteView in_place);
  // Throws when libsrtp refuses what the client has sealed, other than as a replay.
  void OpenOutgoing(const std::vector<uint8_t>& sealed);

 private:
  Libsrtp incoming_;
  Libsrtp outgoing_;
};

}  // namespace nexus::testing
