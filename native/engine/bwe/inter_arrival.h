// Groups packets that left together, and compares the spacing of groups at departure with that at arrival
// (draft-ietf-rmcat-gcc-02 section 5.2 and 5.3). Packets within 5 ms are one group, and so are packets that
// were held back on the path and arrived in one burst.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/time.h"

namespace nexus {

struct GroupDelta {
  Duration departure{0};
  Duration arrival{0};
};

class InterArrival {
 public:
  // Returns a delta if the packet begins a group and two complete groups precede it.
  std::optional<GroupDelta> OnPacket(Timestamp sent, Timestamp arrived);
  void Reset();

 private:
  struct Group {
    Timestamp first_sent;
    Timestamp last_sent;
    Timestamp first_arrived;
    Timestamp last_arrived;
  };
  bool BelongsToBurst(Timestamp sent, Timestamp arrived) const;
  void Begin(Timestamp sent, Timestamp arrived) { current_ = Group{sent, sent, arrived, arrived}; }

  std::optional<Group> current_;
  std::optional<Group> previous_;
  int reordered_ = 0;
};

}  // namespace nexus
