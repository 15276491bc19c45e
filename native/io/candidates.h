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

// In the order of preference: UDP before TCP, and for each of them the two families mixed, an IPv6 address
// first (RFC 8421 section 4), so that neither family is checked only after all of the other. Within a family
// the order is kept. `announced` and `interfaces` have any port; that of the bound socket of the same family
// is used.
std::vector<IceCandidate> MakeCandidates(const std::vector<SocketAddress>& bound,
                                         const std::vector<SocketAddress>& announced,
                                         const std::vector<SocketAddress>& interfaces);

}  // namespace nexus
