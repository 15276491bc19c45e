// Conversion between SocketAddress and the kernel's sockaddr.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "engine/base/socket_address.h"

namespace nexus {

// Returns the length of the address in `out`.
socklen_t ToKernel(const SocketAddress& address, sockaddr_storage& out);
// An IPv4-mapped IPv6 address is returned as IPv4.
SocketAddress FromKernel(const sockaddr_storage& address);

}  // namespace nexus
