// Interface to one peer's DTLS association, over which its SCTP packets are sent.
#pragma once

#include "engine/base/bytes.h"

namespace nexus {

class DataPath {
 public:
  virtual ~DataPath() = default;
  // May queue the packet until media leaves bandwidth for it.
  virtual void SendDataPacket(ByteView packet) = 0;
  // Sends at once, before anything queued: for the end of the association.
  virtual void SealData(ByteView packet) = 0;
};

}  // namespace nexus
