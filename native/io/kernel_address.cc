#include "io/kernel_address.h"

#include <algorithm>
#include <cstring>

namespace nexus {

socklen_t ToKernel(const SocketAddress& address, sockaddr_storage& out) {
  const ByteView ip = address.ip();
  if (address.is_v6()) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port());
    std::memcpy(&v6.sin6_addr, ip.data(), 16);
    std::memcpy(&out, &v6, sizeof v6);
    return sizeof v6;
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(address.port());
  std::memcpy(&v4.sin_addr, ip.data(), 4);
  std::memcpy(&out, &v4, sizeof v4);
  return sizeof v4;
}

SocketAddress FromKernel(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &address, sizeof v6);
    std::array<uint8_t, 16> ip;
    std::memcpy(ip.data(), &v6.sin6_addr, 16);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      return SocketAddress::V4({ip[12], ip[13], ip[14], ip[15]}, ntohs(v6.sin6_port));
    }
    return SocketAddress::V6(ip, ntohs(v6.sin6_port));
  }
  sockaddr_in v4;
  std::memcpy(&v4, &address, sizeof v4);
  std::array<uint8_t, 4> ip;
  std::memcpy(ip.data(), &v4.sin_addr, 4);
  return SocketAddress::V4(ip, ntohs(v4.sin_port));
}

}  // namespace nexus
