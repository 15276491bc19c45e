// Calls of the peers that tests make media with by hand.
#pragma once

#include "testing/emulated_call.h"
#include "testing/test_peer.h"

namespace nexus::testing {

using TestCall = EmulatedCall<TestPeer>;
using Member = TestCall::Member;

}  // namespace nexus::testing
