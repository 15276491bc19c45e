#include "io/candidates.h"

#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "io/kernel_address.h"

namespace nexus {
namespace {

bool IsWildcard(const SocketAddress& address) {
  const ByteView ip = address.ip();
  return std::all_of(ip.begin(), ip.end(), [](uint8_t byte) { return byte == 0; });
}

bool IsLinkLocal(const SocketAddress& address) {
  const ByteView ip = address.ip();
  if (address.is_v6()) return ip[0] == 0xFE && (ip[1] & 0xC0) == 0x80;
  return ip[0] == 169 && ip[1] == 254;
}

// `address` with the port and the protocol of `socket`.
SocketAddress At(const SocketAddress& address, const SocketAddress& socket) {
  const ByteView ip = address.ip();
  SocketAddress at;
  if (address.is_v6()) {
    std::array<uint8_t, 16> bytes;
    std::copy(ip.begin(), ip.end(), bytes.begin());
    at = SocketAddress::V6(bytes, socket.port());
  } else {
    at = SocketAddress::V4({ip[0], ip[1], ip[2], ip[3]}, socket.port());
  }
  return socket.is_tcp() ? at.OverTcp() : at;
}

// Position of an address among the `count` of its family, between 0 and 1. IPv6 addresses start at 0 and IPv4
// addresses end at 1, so that an IPv6 address comes first and the shorter list is spread over the longer one.
double Place(bool v6, size_t index, size_t count) {
  return static_cast<double>(v6 ? index : index + 1) / static_cast<double>(count);
}

// RFC 8421 section 4. At equal positions the IPv4 address comes first: an IPv6 address precedes it already.
void MixFamilies(std::vector<SocketAddress>& addresses) {
  std::array<size_t, 2> counts{};
  for (const SocketAddress& address : addresses) ++counts[address.is_v6()];
  std::array<size_t, 2> seen{};
  std::vector<std::pair<double, SocketAddress>> placed;
  for (const SocketAddress& address : addresses) {
    const bool v6 = address.is_v6();
    placed.emplace_back(Place(v6, seen[v6]++, counts[v6]), address);
  }
  std::stable_sort(placed.begin(), placed.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : b.second.is_v6() && !a.second.is_v6();
  });
  std::transform(placed.begin(), placed.end(), addresses.begin(), [](const auto& one) { return one.second; });
}

// RFC 8445 section 5.1.2.1 for one component: type preference 126 for host candidates over UDP. TCP has 90,
// so that every UDP pair is preferred, and 4 (the passive direction) in the upper three bits of the local
// preference (RFC 6544 section 4.2).
uint32_t HostPriority(const SocketAddress& address, size_t position) {
  const uint32_t type = address.is_tcp() ? 90 : 126;
  const uint32_t most = address.is_tcp() ? (4u << 13) + 8'191u : 65'535u;
  const uint32_t local_preference = most - static_cast<uint32_t>(std::min<size_t>(position, 8'191));
  return type << 24 | local_preference << 8 | (256 - 1);
}

}  // namespace

std::vector<SocketAddress> InterfaceAddresses() {
  std::vector<SocketAddress> usable;
  std::vector<SocketAddress> loopback;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return usable;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    const SocketAddress address = FromKernel(storage);
    if (IsLinkLocal(address)) continue;
    ((entry->ifa_flags & IFF_LOOPBACK) != 0 ? loopback : usable).push_back(address);
  }
  freeifaddrs(list);
  return usable.empty() ? loopback : usable;
}

std::vector<IceCandidate> MakeCandidates(const std::vector<SocketAddress>& bound,
                                         const std::vector<SocketAddress>& announced,
                                         const std::vector<SocketAddress>& interfaces) {
  std::array<std::vector<SocketAddress>, 2> addresses;  // over UDP, over TCP
  for (const SocketAddress& socket : bound) {
    std::vector<SocketAddress>& same = addresses[socket.is_tcp()];
    if (!announced.empty() || IsWildcard(socket)) {
      for (const SocketAddress& address : announced.empty() ? interfaces : announced) {
        if (address.is_v6() == socket.is_v6()) same.push_back(At(address, socket));
      }
    } else {
      same.push_back(socket);
    }
  }
  std::vector<IceCandidate> candidates;
  for (std::vector<SocketAddress>& same : addresses) {
    MixFamilies(same);
    for (size_t i = 0; i < same.size(); ++i) {
      candidates.push_back({same[i], HostPriority(same[i], i), std::to_string(candidates.size() + 1)});
    }
  }
  return candidates;
}

}  // namespace nexus
