// The BIO between OpenSSL and us: each read gives one record, each write is one datagram. It owns nothing.
#pragma once

#include <vector>

#include "engine/base/bytes.h"

struct bio_st;

namespace nexus {

// What the BIO reads from and writes to.
class DatagramPort {
 public:
  virtual ~DatagramPort() = default;
  virtual ByteView TakeInput() = 0;  // empty when there is none
  virtual void PutOutput(ByteView datagram) = 0;
};

// Null when OpenSSL fails. The port must outlive it.
bio_st* MakeDatagramBio(DatagramPort* port);

}  // namespace nexus
