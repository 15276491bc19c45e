// Commands of the control side. If the subject is gone, the command is rejected by an event: media may have
// ended a moment before.
#include "engine/shard/shard.h"

namespace nexus {
namespace {

template <class Map>
auto Find(const Map& map, const typename Map::key_type& id) -> decltype(&*map.find(id)->second) {
  const auto found = map.find(id);
  return found == map.end() ? nullptr : &*found->second;
}

}  // namespace

void Shard::HandleCommand(const Command& command, Timestamp now) {
  std::visit([&](const auto& alternative) { Handle(alternative, now); }, command);
}

Shard::SlotPlace Shard::FindSlot(SlotId id) const {
  const auto found = slots_.find(id);
  return found == slots_.end() ? SlotPlace{} : found->second;
}

void Shard::Reject(std::string_view command, uint32_t id, std::string_view reason) {
  events_.Push(CommandRejected{std::string(command), id, std::string(reason)});
}

void Shard::Handle(const CreateRoom& command, Timestamp now) {
  if (rooms_.contains(command.room)) return Reject("create_room", command.room.value, "already_exists");
  rooms_.emplace(command.room, std::make_unique<Room>(context_, command.room, now));
}

void Shard::Handle(const CloseRoom& command, Timestamp now) {
  Room* room = Find(rooms_, command.room);
  if (room == nullptr) return Reject("close_room", command.room.value, "unknown_room");
  CloseRoomNow(*room, now);
}

void Shard::Handle(const CreateTransport& command, Timestamp now) {
  const uint32_t id = command.transport.value;
  Room* room = Find(rooms_, command.room);
  if (room == nullptr) return Reject("create_transport", id, "unknown_room");
  if (transports_.size() >= config_.max_transports)
    return Reject("create_transport", id, "too_many_transports");
  if (transports_.contains(command.transport) || by_ufrag_.contains(command.local.ufrag)) {
    return Reject("create_transport", id, "already_exists");
  }
  auto transport = std::make_unique<Transport>(context_, fan_out_, data_, command, now);
  room->Add(*transport);
  by_ufrag_[command.local.ufrag] = transport.get();
  transports_.emplace(command.transport, std::move(transport));
}

void Shard::Handle(const UpdateTransport& command, Timestamp) {
  Transport* transport = Find(transports_, command.transport);
  if (transport == nullptr) return Reject("update_transport", command.transport.value, "unknown_transport");
  transport->Update(command);
}

void Shard::Handle(const RestartIce& command, Timestamp now) {
  const uint32_t id = command.transport.value;
  Transport* transport = Find(transports_, command.transport);
  if (transport == nullptr) return Reject("restart_ice", id, "unknown_transport");
  if (by_ufrag_.contains(command.local.ufrag) || !transport->RestartIce(command.local, command.remote, now)) {
    return Reject("restart_ice", id, "bad_credentials");
  }
  by_ufrag_[command.local.ufrag] = transport;
  // The previous username stays valid until the new one is nominated; checks for older ones are not answered.
  while (transport->ufrags().size() > 2) {
    by_ufrag_.erase(transport->ufrags().front());
    transport->ForgetOldestUfrag();
  }
}

void Shard::Handle(const CloseTransport& command, Timestamp now) {
  Transport* transport = Find(transports_, command.transport);
  if (transport == nullptr) return Reject("close_transport", command.transport.value, "unknown_transport");
  Remove(*transport, TransportState::kClosed, "closed", now);
}

void Shard::Handle(const AddTrack& command, Timestamp now) {
  const uint32_t id = command.track.value;
  Transport* transport = Find(transports_, command.transport);
  if (transport == nullptr) return Reject("add_track", id, "unknown_transport");
  if (tracks_.contains(command.track)) return Reject("add_track", id, "already_exists");
  std::string_view refusal;
  PublishedTrack* track = transport->AddTrack(command.track, command.settings, refusal);
  if (track == nullptr) return Reject("add_track", id, refusal);
  tracks_[command.track] = track;
  AnnounceToPeers(*track);
  if (track->kind() == MediaKind::kAudio) RoomOf(*transport).OnAudioTracksChanged(now);
}

void Shard::Handle(const RemoveTrack& command, Timestamp now) {
  PublishedTrack* track = Find(tracks_, command.track);
  if (track == nullptr || relayed_.contains(command.track)) {
    return Reject("remove_track", command.track.value, "unknown_track");
  }
  Transport& transport = *transports_.at(track->publisher().id());
  tracks_.erase(command.track);
  Room& room = RoomOf(transport);
  room.ForgetTrack(command.track);
  transport.RemoveTrack(*track);
  SweepTaps();
  SweepRelays();
  room.OnAudioTracksChanged(now);
}

void Shard::Handle(const MuteTrack& command, Timestamp now) {
  PublishedTrack* track = Find(tracks_, command.track);
  if (track == nullptr) return Reject("set_track_muted", command.track.value, "unknown_track");
  track->SetMuted(command.muted, now);
  track->WakePublisher();
  if (track->kind() == MediaKind::kAudio) RoomOf(track->publisher()).OnAudioTracksChanged(now);
}

void Shard::Handle(const ResizeTrack& command, Timestamp) {
  PublishedTrack* track = Find(tracks_, command.track);
  if (track == nullptr) return Reject("set_track_sizes", command.track.value, "unknown_track");
  track->SetSizes(command.sizes);
}

void Shard::Handle(const RequestKeyframe& command, Timestamp) {
  PublishedTrack* track = Find(tracks_, command.track);
  if (track == nullptr) return Reject("request_keyframe", command.track.value, "unknown_track");
  if (track->kind() != MediaKind::kVideo) return Reject("request_keyframe", command.track.value, "not_video");
  for (const auto& layer : track->layers()) {
    if (!track->simulcast() || layer->live()) track->RequestKeyframe(*layer);
  }
}

void Shard::Handle(const AddSlot& command, Timestamp now) {
  const uint32_t id = command.slot.value;
  Transport* transport = Find(transports_, command.transport);
  if (transport == nullptr) return Reject("add_slot", id, "unknown_transport");
  if (slots_.contains(command.slot)) return Reject("add_slot", id, "already_exists");
  std::string_view refusal;
  SubscriberSlot* slot = transport->AddSlot(command.slot, command.settings, now, refusal);
  if (slot == nullptr) return Reject("add_slot", id, refusal);
  slots_[command.slot] = {transport, slot};
}

void Shard::Handle(const RemoveSlot& command, Timestamp) {
  const SlotPlace place = FindSlot(command.slot);
  if (place.slot == nullptr) return Reject("remove_slot", command.slot.value, "unknown_slot");
  slots_.erase(command.slot);
  waiting_binds_.erase(command.slot);
  place.transport->RemoveSlot(*place.slot);
}

void Shard::Handle(const BindSlot& command, Timestamp now) {
  const uint32_t id = command.slot.value;
  const auto [transport, slot] = FindSlot(command.slot);
  if (slot == nullptr) return Reject("bind_slot", id, "unknown_slot");
  PublishedTrack* track = Find(tracks_, command.track);
  if (slot->settings().kind != MediaKind::kVideo)
    return Reject("bind_slot", id, "audio_is_placed_by_the_engine");
  waiting_binds_.erase(command.slot);
  if (track == nullptr && IsForeign(command.track) && !RoomOf(*transport).peers().empty()) {
    waiting_binds_[command.slot] = command.track;  // its shard has not announced it yet
    return;
  }
  if (track == nullptr) return Reject("bind_slot", id, "unknown_track");
  if (track->kind() != MediaKind::kVideo) return Reject("bind_slot", id, "not_video");
  if (track->publisher().room() != transport->room()) return Reject("bind_slot", id, "other_room");
  slot->Bind(*track, now);
  transport->AllocateSoon();
}

void Shard::Handle(const UnbindSlot& command, Timestamp) {
  SubscriberSlot* slot = FindSlot(command.slot).slot;
  if (slot == nullptr) return Reject("unbind_slot", command.slot.value, "unknown_slot");
  if (slot->settings().kind != MediaKind::kVideo) {
    return Reject("unbind_slot", command.slot.value, "audio_is_placed_by_the_engine");
  }
  waiting_binds_.erase(command.slot);
  slot->Unbind();
}

void Shard::Handle(const SetSubscribed& command, Timestamp now) {
  Transport* transport = Find(transports_, command.transport);
  if (transport == nullptr) return Reject("set_subscribed", command.transport.value, "unknown_transport");
  if (command.subscribed) {
    transport->audio().Subscribe(command.track);
  } else if (!tracks_.contains(command.track) && !IsForeign(command.track)) {
    return Reject("set_subscribed", command.track.value, "unknown_track");
  } else {
    transport->audio().Unsubscribe(command.track);
  }
  RoomOf(*transport).HandleTimeout(now);
}

void Shard::Handle(const SetSlotView& command, Timestamp) {
  const uint32_t id = command.slot.value;
  SubscriberSlot* slot = FindSlot(command.slot).slot;
  if (slot == nullptr) return Reject("set_slot_view", id, "unknown_slot");
  if (slot->settings().kind != MediaKind::kVideo) return Reject("set_slot_view", id, "not_video");
  slot->SetView(command.view);
}

void Shard::Handle(const ConfigureData& command, Timestamp now) {
  Transport* transport = Find(transports_, command.transport);
  if (transport == nullptr) return Reject("configure_data", command.transport.value, "unknown_transport");
  transport->ConfigureData(command.data, now);
  data_.Transmit();
}

void Shard::Handle(const SendData& command, Timestamp now) {
  Room* room = Find(rooms_, command.room);
  if (room == nullptr) return Reject("send_data", command.room.value, "unknown_room");
  for (const SharedBytes& message : command.messages)
    data_.FromServer(command.room, command.to, {message, command.kind}, now);
  data_.Transmit();
}

void Shard::Handle(const RequestStats& command, Timestamp now) {
  StatsReady report;
  report.request = command.request;
  report.engine.drops = drops_;
  report.engine.transports = transports_.size();
  for (const auto& [id, transport] : transports_) {
    if (!command.details) break;
    if (command.room && transport->room() != *command.room) continue;
    report.transports.push_back(transport->Stats());
    for (const auto& track : transport->tracks()) report.tracks.push_back(track->Stats(now));
    for (const auto& slot : transport->slots()) report.slots.push_back(slot->Stats());
  }
  events_.Push(std::move(report));
}

}  // namespace nexus
