// The host candidates that a shard offers (RFC 8445 section 5.1.1.1): the node's announced addresses if there
// are any, otherwise the addresses that its sockets are bound to, with each wildcard expanded to the
// interfaces.
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

// The machine's addresses except link-local ones; loopback addresses only if there are no others.
std::vector<SocketAddress> InterfaceAddresses();

// Candidates in the order of preference: UDP before TCP, and within each the two families interleaved, an
// IPv6 address first (RFC 8421 section 4), so that neither family has to wait for all checks of the other.
// The order within a family is kept. The ports of `announced` and `interfaces` are ignored; each address gets
// the port of the bound socket of its family.
std::vector<IceCandidate> MakeCandidates(const std::vector<SocketAddress>& bound,
                                         const std::vector<SocketAddress>& announced,
                                         const std::vector<SocketAddress>& interfaces);

}  // namespace nexus
