// Calls of clients, whose media goes through their own streams.
#pragma once

#include "testing/client_peer.h"
#include "testing/emulated_call.h"

namespace nexus::testing {

using ClientCall = EmulatedCall<ClientPeer>;
using ClientMember = ClientCall::Member;

}  // namespace nexus::testing
