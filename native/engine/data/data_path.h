// The way of one peer's SCTP packets: its DTLS association, as its data channels know it.
#pragma once

#include "engine/base/bytes.h"

namespace nexus {

class DataPath {
 public:
  virtual ~DataPath() = default;
  // May wait until media leaves room for it.
  virtual void SendDataPacket(ByteView packet) = 0;
  // At once, whatever waits: the association ends.
  virtual void SealData(ByteView packet) = 0;
};

}  // namespace nexus
