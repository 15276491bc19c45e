// Between our address value and the kernel's.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "engine/base/socket_address.h"

namespace nexus {

// Returns the length.
socklen_t ToKernel(const SocketAddress& address, sockaddr_storage& out);
// An IPv4 address mapped into IPv6 comes out as IPv4.
SocketAddress FromKernel(const sockaddr_storage& address);

}  // namespace nexus
