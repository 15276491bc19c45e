// The host candidates that a shard offers (RFC 8445 section 5.1.1.1): the node's announced addresses, else
// those that its sockets are bound to, with wildcards spelled out.
#pragma once

#include <string>
#include <vector>

#include "engine/base/socket_address.h"

namespace nexus {

struct IceCandidate {
  SocketAddress address;
  uint32_t priority = 0;
  std::string foundation;
};

// The machine's addresses without link-local ones; loopback only when there is nothing else.
std::vector<SocketAddress> InterfaceAddresses();

// `announced` and `interfaces` have any port; that of the bound socket of the same family is used.
std::vector<IceCandidate> MakeCandidates(const std::vector<SocketAddress>& bound,
                                         const std::vector<SocketAddress>& announced,
                                         const std::vector<SocketAddress>& interfaces);

}  // namespace nexus
