// The short-term credentials of one side of an ICE session (RFC 8445 section 5.3), as in SDP.
#pragma once

#include <string>

namespace nexus {

struct IceCredentials {
  std::string ufrag;
  std::string pwd;
  friend bool operator==(const IceCredentials&, const IceCredentials&) = default;
};

}  // namespace nexus
