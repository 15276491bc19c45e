// Arbitrary bytes as a STUN message for the parser and for an ICE-lite agent. Requests are also signed with a
// valid HMAC, so that the code behind authentication is reached.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/ice/ice_lite.h"
#include "engine/stun/stun_integrity.h"
#include "engine/stun/stun_message.h"

namespace {

using namespace nexus;

const IceCredentials kLocal{"srvU", "server-password-of-22-chars"};
const IceCredentials kRemote{"cliU", "client-password-of-22-chars"};

// Replaces the message's MESSAGE-INTEGRITY by a valid one and cuts off what follows.
std::vector<uint8_t> Signed(const StunMessage& message) {
  const ByteView covered = message.bytes.first(message.integrity_offset);
  std::vector<uint8_t> bytes(covered.begin(), covered.end());
  const auto mac = StunHmac(covered, kLocal.pwd);
  if (!mac) std::abort();
  bytes.insert(bytes.end(), {0x00, 0x08, 0x00, 0x14});
  bytes.insert(bytes.end(), mac->begin(), mac->end());
  const size_t length = bytes.size() - kStunHeaderSize;
  bytes[2] = static_cast<uint8_t>(length >> 8);
  bytes[3] = static_cast<uint8_t>(length);
  return bytes;
}

void Check(IceLite& ice, ByteView datagram) {
  const SocketAddress from = SocketAddress::V4({192, 0, 2, 1}, 1);
  const IceStunOutcome outcome = ice.HandleStun(datagram, from, TimestampFromMicros(1));
  if (!outcome.response.empty() && !ParseStun(outcome.response)) std::abort();
  if (outcome.authenticated != ice.IsValidated(from)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView bytes(data, size);
  const auto message = ParseStun(bytes);
  const auto ufrag = PeekLocalUfrag(bytes);
  if (ufrag && ufrag->size() >= size) std::abort();
  IceLite ice(kLocal, kRemote, {}, TimestampFromMicros(0));
  Check(ice, bytes);
  if (!message) return 0;
  (void)VerifyStunFingerprint(*message);
  (void)VerifyStunIntegrity(*message, kLocal.pwd);
  if (message->integrity_offset == 0) return 0;
  IceLite fresh(kLocal, kRemote, {}, TimestampFromMicros(0));
  const std::vector<uint8_t> resigned = Signed(*message);
  const auto parsed = ParseStun(resigned);
  if (!parsed || !VerifyStunIntegrity(*parsed, kLocal.pwd)) std::abort();
  Check(fresh, resigned);
  return 0;
}
