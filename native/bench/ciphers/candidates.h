// The libraries that are measured: those of the engine, and those given to the build (foreign_gcm.h). Each is
// behind the engine's own SRTP transform, so that all are called as the forwarder calls them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/srtp/srtp_transform.h"

namespace nexus::ciphers {

struct Candidate {
  std::string name;
  std::unique_ptr<SrtpTransform> (*make)(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp,
                                         SrtpDirection direction);
};

// OpenSSL is first: the output of the others is compared with it.
std::vector<Candidate> Candidates();

}  // namespace nexus::ciphers
