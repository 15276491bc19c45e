// A network in emulated time: loss, reordering, duplication and delay between addresses, from a seeded
// generator. It is sans-I/O: datagrams are put in at one time and taken out at another.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/socket_address.h"
#include "engine/base/time.h"
#include "testing/bottleneck.h"

namespace nexus::testing {

struct LinkConditions {
  double loss = 0;
  double duplication = 0;
  Duration delay = std::chrono::milliseconds(10);
  Duration jitter{0};  // maximum addition to the delay; above the spacing of packets it reorders them
};

struct Datagram {
  SocketAddress from;
  SocketAddress to;
  std::vector<uint8_t> bytes;
};

class EmulatedNetwork {
 public:
  explicit EmulatedNetwork(uint64_t seed) : random_(seed) {}

  LinkConditions conditions;
  // Conditions of one direction, to an address, instead of `conditions`.
  void SetConditionsTo(const SocketAddress& to, const LinkConditions& given) { conditions_to_[to] = given; }
  // Datagrams to these addresses pass one link with a rate and a queue.
  std::shared_ptr<Bottleneck> Narrow(const std::vector<SocketAddress>& to, int64_t bps, size_t queue_bytes,
                                     Timestamp now) {
    auto link = std::make_shared<Bottleneck>();
    link->SetRate(bps, now);
    link->SetQueue(queue_bytes);
    for (const SocketAddress& address : to) bottlenecks_[address] = link;
    return link;
  }
  // Datagrams to or from an address that is down are lost.
  void SetDown(const SocketAddress& address, bool down) { down_[address] = down; }

  void Send(Datagram datagram, Timestamp now) {
    if (IsDown(datagram.from) || IsDown(datagram.to)) return;
    const auto own = conditions_to_.find(datagram.to);
    const LinkConditions& link = own == conditions_to_.end() ? conditions : own->second;
    if (Chance(link.loss)) {
      ++lost_;
      return;
    }
    const auto narrow = bottlenecks_.find(datagram.to);
    if (narrow != bottlenecks_.end()) {
      constexpr size_t kUdpAndIp = 28;
      const auto through = narrow->second->Pass(datagram.bytes.size() + kUdpAndIp, now);
      if (!through) {
        ++lost_;
        return;
      }
      now = *through;
    }
    if (Chance(link.duplication)) Queue(datagram, link, now);
    Queue(std::move(datagram), link, now);
  }
  Timestamp next() const { return queue_.empty() ? kNever : queue_.top().at; }
  // The next datagram that has arrived; nothing when none has.
  bool Receive(Timestamp now, Datagram& out) {
    if (queue_.empty() || queue_.top().at > now) return false;
    out = queue_.top().datagram;
    queue_.pop();
    return true;
  }
  uint64_t lost() const { return lost_; }
  std::mt19937_64& random() { return random_; }

 private:
  struct Travelling {
    Timestamp at;
    uint64_t order;
    Datagram datagram;
    bool operator<(const Travelling& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  bool IsDown(const SocketAddress& address) const {
    const auto found = down_.find(address);
    return found != down_.end() && found->second;
  }
  bool Chance(double probability) {
    return probability > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < probability;
  }
  void Queue(Datagram datagram, const LinkConditions& link, Timestamp now) {
    Duration delay = link.delay;
    if (link.jitter.count() > 0) {
      delay += Duration(std::uniform_int_distribution<int64_t>(0, link.jitter.count())(random_));
    }
    queue_.push({now + delay, ++order_, std::move(datagram)});
  }

  struct AddressOrder {
    bool operator()(const SocketAddress& a, const SocketAddress& b) const {
      return a.ToString() < b.ToString();
    }
  };
  std::mt19937_64 random_;
  std::priority_queue<Travelling> queue_;
  std::map<SocketAddress, bool, AddressOrder> down_;
  std::map<SocketAddress, LinkConditions, AddressOrder> conditions_to_;
  std::map<SocketAddress, std::shared_ptr<Bottleneck>, AddressOrder> bottlenecks_;
  uint64_t order_ = 0;
  uint64_t lost_ = 0;
};

}  // namespace nexus::testing
