// The BIO between OpenSSL and the engine: each read returns one record, each write is one datagram. It owns
// nothing.
#pragma once

#include <vector>

#include "engine/base/bytes.h"

struct bio_st;

namespace nexus {

// The source and sink of the BIO.
class DatagramPort {
 public:
  virtual ~DatagramPort() = default;
  virtual ByteView TakeInput() = 0;  // empty if there is none
  virtual void PutOutput(ByteView datagram) = 0;
};

// Null if OpenSSL fails. The port must outlive the BIO.
bio_st* MakeDatagramBio(DatagramPort* port);

}  // namespace nexus
