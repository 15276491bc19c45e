#include "testing/bandwidth_scene.h"

#include <algorithm>

namespace nexus::testing {

BandwidthScene::BandwidthScene(BandwidthSceneOptions options) : call(options.call) {
  publisher = &call.Join();
  call.Publish(*publisher, MediaKind::kAudio);
  // About 130, 440 and 1,260 kbit/s at 25 frames a second.
  call.PublishSimulcast(*publisher, {{1, 600}, {2, 1'050}, {6, 1'020}}, options.sizes);
  for (int i = 0; i < options.subscribers; ++i) {
    PeerOptions peer;
    peer.transport_feedback = options.transport_feedback;
    peer.receiver_reports = options.receiver_reports;
    Member& member = call.Join(std::move(peer));
    member.peer->fraction_lost = 0;
    call.AddSlot(member, MediaKind::kAudio);
    call.AddSlot(member, MediaKind::kVideo, 0, options.rtx);
    call.Command(BindSlot{member.slots[1].id, publisher->video_track});
    subscribers.push_back(&member);
    call.StartMedia(member);
  }
  call.StartMedia(*publisher);
  call.RunUntilConnected();
}

std::shared_ptr<Bottleneck> BandwidthScene::Narrow(const std::vector<size_t>& who, int64_t bps,
                                                   size_t queue_bytes) {
  std::vector<SocketAddress> addresses;
  for (const size_t i : who) addresses.push_back(subscribers[i]->peer->address());
  link = call.network().Narrow(addresses, bps, queue_bytes, call.now());
  return link;
}

void BandwidthScene::SetConditions(size_t who, const LinkConditions& conditions) {
  call.network().SetConditionsTo(subscribers[who]->peer->address(), conditions);
}

void BandwidthScene::Prefer(size_t who, const SlotView& view) {
  call.Command(SetSlotView{subscribers[who]->slots[1].id, view});
}

int BandwidthScene::Spatial(size_t who) const {
  const auto& packets = subscribers[who]->slots[1].stream->packets;
  if (packets.empty() || call.now() - packets.rbegin()->second.arrival > std::chrono::milliseconds(500))
    return -1;
  for (auto packet = packets.rbegin(); packet != packets.rend(); ++packet) {
    if (!packet->second.mark) continue;
    for (size_t i = 0; i < publisher->encodings.size(); ++i) {
      if (publisher->encodings[i]->options.mark == packet->second.mark->mark) return static_cast<int>(i);
    }
  }
  return -1;
}

double BandwidthScene::AudioLoss(size_t who) {
  const size_t missing = audio(who).Missing().size();
  return static_cast<double>(missing) / static_cast<double>(audio(who).packets.size() + missing);
}

size_t BandwidthScene::Unrepaired(size_t who) {
  size_t unrepaired = 0;
  const ReceivedStream& stream = video(who);
  for (const int64_t number : stream.Missing()) {
    const auto next = stream.packets.upper_bound(number);
    const auto before = std::prev(stream.packets.lower_bound(number));
    // One number is left free behind a frame that a switch cut off.
    const bool explained = next->second.keyframe_start && !before->second.marker;
    if (!explained && call.now() - next->second.arrival > std::chrono::seconds(1)) ++unrepaired;
  }
  return unrepaired;
}

double BandwidthScene::DeliveredWithin(size_t who, Timestamp from, Timestamp until, Duration late,
                                       Duration last_leg) {
  const Duration least = call.network().conditions.delay + last_leg;
  size_t in_time = 0;
  size_t all = 0;
  for (const auto& [number, packet] : video(who).packets) {
    if (!packet.mark) continue;
    const Timestamp sampled = TimestampFromMicros(packet.mark->sampled_us);
    if (sampled < from || sampled >= until) continue;
    ++all;
    if (packet.arrival - sampled <= least + late) ++in_time;
  }
  for (const int64_t number : video(who).Missing()) {
    const auto next = video(who).packets.upper_bound(number);
    if (next->second.arrival >= from && next->second.arrival < until) ++all;
  }
  return all == 0 ? 0 : static_cast<double>(in_time) / static_cast<double>(all);
}

TransportStats BandwidthScene::Stats(size_t who) {
  return call.shard().FindTransport(subscribers[who]->transport)->Stats();
}

SceneShare BandwidthScene::Observe(size_t who, Duration duration, Duration step) {
  SceneShare seen;
  const TransportStats before = Stats(who);
  std::vector<uint64_t> bytes;
  for (const Member* member : subscribers) bytes.push_back(member->peer->bytes_received);
  const uint64_t passed = link ? link->passed_bytes() : 0;
  const uint64_t passed_packets = link ? link->passed() : 0;
  const uint64_t dropped = link ? link->dropped() : 0;
  if (link) link->TakeLongestDelay();
  int last = Spatial(who);
  int samples = 0;
  int64_t sum = 0;
  for (Duration past{0}; past < duration; past += step, ++samples) {
    call.RunFor(step);
    const auto estimate = static_cast<int64_t>(Stats(who).estimate_bps);
    sum += estimate;
    seen.lowest_estimate = std::min(seen.lowest_estimate, estimate);
    seen.highest_estimate = std::max(seen.highest_estimate, estimate);
    const int spatial = Spatial(who);
    seen.layer_changes += std::exchange(last, spatial) != spatial ? 1 : 0;
  }
  const double seconds = static_cast<double>(duration.count()) / 1e6;
  seen.mean_estimate = sum / std::max(samples, 1);
  seen.sent_bps =
      static_cast<int64_t>(static_cast<double>(Stats(who).bytes_out - before.bytes_out) * 8 / seconds);
  for (size_t i = 0; i < subscribers.size(); ++i) {
    const uint64_t got = subscribers[i]->peer->bytes_received - bytes[i];
    seen.received_bps.push_back(static_cast<int64_t>(static_cast<double>(got) * 8 / seconds));
  }
  if (!link) return seen;
  seen.longest_queue = link->TakeLongestDelay();
  const auto lost = static_cast<double>(link->dropped() - dropped);
  seen.loss = lost / std::max(1.0, lost + static_cast<double>(link->passed() - passed_packets));
  seen.utilisation = static_cast<double>((link->passed_bytes() - passed) * 8) /
                     (static_cast<double>(link->rate_bps()) * seconds);
  return seen;
}

}  // namespace nexus::testing
