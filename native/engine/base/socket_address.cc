#include "engine/base/socket_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace nexus {

SocketAddress SocketAddress::V4(std::array<uint8_t, 4> ip, uint16_t port) {
  SocketAddress address;
  std::copy(ip.begin(), ip.end(), address.ip_.begin());
  address.port_ = port;
  return address;
}

SocketAddress SocketAddress::V6(std::array<uint8_t, 16> ip, uint16_t port) {
  SocketAddress address;
  address.ip_ = ip;
  address.port_ = port;
  address.v6_ = true;
  return address;
}

SocketAddress SocketAddress::OverTcp() const {
  SocketAddress address = *this;
  address.tcp_ = true;
  return address;
}

std::optional<SocketAddress> SocketAddress::Parse(std::string_view ip, uint16_t port) {
  const std::string text(ip);
  std::array<uint8_t, 4> v4{};
  if (inet_pton(AF_INET, text.c_str(), v4.data()) == 1) return V4(v4, port);
  std::array<uint8_t, 16> v6{};
  if (inet_pton(AF_INET6, text.c_str(), v6.data()) == 1) return V6(v6, port);
  return std::nullopt;
}

std::string SocketAddress::IpString() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(v6_ ? AF_INET6 : AF_INET, ip_.data(), text, sizeof(text));
  return text;
}

std::string SocketAddress::ToString() const {
  const std::string ip = IpString();
  return (v6_ ? "[" + ip + "]" : ip) + ":" + std::to_string(port_) + (tcp_ ? "/tcp" : "");
}

}  // namespace nexus

size_t std::hash<nexus::SocketAddress>::operator()(const nexus::SocketAddress& address) const noexcept {
  // Equality decides; the hash only spreads (a hash alone is no key: mediasoup #1823).
  uint64_t high = 0;
  uint64_t low = 0;
  const nexus::ByteView ip = address.ip();
  std::memcpy(&high, ip.data(), std::min<size_t>(8, ip.size()));
  if (ip.size() == 16) std::memcpy(&low, ip.data() + 8, 8);
  uint64_t mixed =
      (high ^ (low * 0x9E3779B97F4A7C15ull) ^ address.port() ^ (address.is_tcp() ? 0x10000u : 0u)) *
      0xBF58476D1CE4E5B9ull;
  return static_cast<size_t>(mixed ^ (mixed >> 31));
}
