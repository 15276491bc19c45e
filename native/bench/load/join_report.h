// Reports how long the peers that joined since measuring began waited for their first frame, as the fields of
// a JSON object, without braces.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/load/load_peer.h"

namespace nexus::load {

std::string ReportJoins(const std::vector<std::unique_ptr<LoadPeer>>& peers, const LoadTotals& totals,
                        Timestamp now);

}  // namespace nexus::load
