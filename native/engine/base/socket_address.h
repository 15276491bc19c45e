// An IPv4 or IPv6 address with a port, over UDP or TCP, as a value: usable as a map key, without kernel
// structures.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/bytes.h"

namespace nexus {

class SocketAddress {
 public:
  SocketAddress() = default;
  static SocketAddress V4(std::array<uint8_t, 4> ip, uint16_t port);
  static SocketAddress V6(std::array<uint8_t, 16> ip, uint16_t port);
  // Parses "192.0.2.1" or "2001:db8::1" (no brackets).
  static std::optional<SocketAddress> Parse(std::string_view ip, uint16_t port);

  // The same address over TCP (RFC 6544), which is a different path and a different map key.
  SocketAddress OverTcp() const;

  bool is_v6() const { return v6_; }
  bool is_tcp() const { return tcp_; }
  uint16_t port() const { return port_; }
  // 4 or 16 bytes, network order.
  ByteView ip() const { return ByteView(ip_).first(v6_ ? 16 : 4); }
  // "192.0.2.1:3478" or "[2001:db8::1]:3478", followed by "/tcp" for TCP.
  std::string ToString() const;
  std::string IpString() const;

  friend bool operator==(const SocketAddress&, const SocketAddress&) = default;

 private:
  std::array<uint8_t, 16> ip_{};
  uint16_t port_ = 0;
  bool v6_ = false;
  bool tcp_ = false;
};

}  // namespace nexus

template <>
struct std::hash<nexus::SocketAddress> {
  size_t operator()(const nexus::SocketAddress& address) const noexcept;
};
