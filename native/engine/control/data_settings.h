// Settings of one participant's data channels.
#pragma once

#include <cstdint>
#include <string>

namespace nexus {

struct DataSettings {
  uint16_t remote_port = 5000;         // RFC 8841 section 5: `a=sctp-port`
  uint64_t max_message_size = 65'536;  // the peer's `a=max-message-size`; 0: any (RFC 8841 section 6)
  std::string participant;  // the sender that its messages name; empty: none (a hidden participant)
  bool publish = true;      // the grant `data`
  bool receive = true;      // the grant `subscribe`
};

}  // namespace nexus
