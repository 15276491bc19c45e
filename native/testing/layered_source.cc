#include "testing/layered_source.h"

#include <algorithm>

#include "testing/bits.h"
#include "testing/vp8_payload.h"

namespace nexus::testing {

uint8_t LayeredSource::TemporalOf(uint32_t since_key) const {
  if (options_.temporal == 1) return 0;
  if (options_.temporal == 2) return since_key % 2;
  static constexpr uint8_t kPattern[] = {0, 2, 1, 2};
  return kPattern[since_key % 4];
}

LayeredFrame& LayeredSource::AddFrame(uint8_t spatial, uint8_t temporal, bool key) {
  LayeredFrame frame;
  frame.id = frames_.size();
  frame.picture = picture_;
  frame.spatial = spatial;
  frame.temporal = temporal;
  frame.key = key;
  if (!key) {
    // The newest frame of the same spatial layer and a lower temporal one (layer 0: of layer 0).
    std::optional<size_t> before;
    for (uint8_t t = 0; t <= (temporal == 0 ? 0 : temporal - 1); ++t) {
      const auto found = last_.find({spatial, t});
      if (found != last_.end() && (!before || found->second > *before)) before = found->second;
    }
    if (before) frame.needs.push_back(*before);
  }
  if (spatial > 0 && (key || !options_.key_only)) frame.needs.push_back(frames_.size() - 1);
  last_[{spatial, temporal}] = frame.id;
  frames_.push_back(frame);
  return frames_.back();
}

// Frames of the decode target's chain: temporal layer 0 of its spatial layer and of those below it.
bool LayeredSource::InChain(const LayeredFrame& frame, uint8_t chain) const {
  if (frame.temporal != 0 || frame.spatial > chain) return false;
  return frame.spatial == chain || frame.key || !options_.key_only;
}

uint32_t LayeredSource::Indication(const LayeredFrame& frame, uint8_t spatial, uint8_t temporal) const {
  constexpr uint32_t kNotPresent = 0, kDiscardable = 1, kSwitch = 2, kRequired = 3;
  if (frame.spatial > spatial || frame.temporal > temporal) return kNotPresent;
  if (frame.spatial == spatial)
    return frame.temporal == 0 || frame.temporal < temporal ? kSwitch : kDiscardable;
  if (frame.key) return kSwitch;
  return options_.key_only ? kNotPresent : kRequired;
}

std::vector<uint8_t> LayeredSource::Vp8Payload(const LayeredFrame& frame, bool first) const {
  Vp8PacketFields packet;
  packet.first_of_frame = first;
  packet.picture_id = static_cast<uint16_t>(options_.first_picture + frame.picture);
  const bool sync = frame.temporal > 0 && frames_[frame.needs[0]].temporal == 0;
  packet.layer = {tl0_, frame.temporal, sync};
  std::vector<uint8_t> bytes = MakeVp8Descriptor(packet);
  if (first) AppendVp8FrameStart(bytes, frame.key, {160, 90});
  bytes.push_back(0xAA);
  return bytes;
}

std::vector<uint8_t> LayeredSource::Vp9Payload(const LayeredFrame& frame, bool first, bool last) const {
  const bool flexible = options_.signal == LayerSignal::kVp9Flexible;
  const uint16_t picture = static_cast<uint16_t>(options_.first_picture + frame.picture) & 0x7FFF;
  const bool inter = std::any_of(frame.needs.begin(), frame.needs.end(),
                                 [&](size_t id) { return frames_[id].picture != frame.picture; });
  const bool inter_layer = std::any_of(frame.needs.begin(), frame.needs.end(),
                                       [&](size_t id) { return frames_[id].picture == frame.picture; });
  const bool not_reference = options_.key_only && !frame.key;
  // I P L F B E V Z; U where only lower temporal layers are referred to, as browsers do.
  std::vector<uint8_t> bytes = {
      static_cast<uint8_t>(0xA0 | (inter ? 0x40 : 0) | (flexible ? 0x10 : 0) | (first ? 0x08 : 0) |
                           (last ? 0x04 : 0) | (not_reference ? 0x01 : 0)),
      static_cast<uint8_t>(0x80 | picture >> 8), static_cast<uint8_t>(picture)};
  bytes.push_back(static_cast<uint8_t>(frame.temporal << 5 | (frame.temporal > 0 ? 0x10 : 0) |
                                       frame.spatial << 1 | (inter_layer ? 1 : 0)));
  if (!flexible) bytes.push_back(tl0_);
  if (flexible && inter) {
    bytes.push_back(static_cast<uint8_t>((frame.picture - frames_[frame.needs[0]].picture) << 1));
  }
  bytes.push_back(0xAA);
  return bytes;
}

std::vector<uint8_t> LayeredSource::Descriptor(const LayeredFrame& frame, bool first, bool last) const {
  const unsigned templates = options_.spatial * options_.temporal;
  const auto offset = static_cast<uint8_t>((options_.template_offset + (structures_ - 1) * templates) % 64);
  const auto place = static_cast<unsigned>(frame.spatial * options_.temporal + frame.temporal);
  Bits bits;
  bits.Put(first, 1).Put(last, 1).Put((offset + place) % 64, 6).Put(frame_number_, 16);
  const bool structure = frame.key && frame.spatial == 0 && first;
  bits.Put(structure, 1).Put(0, 1).Put(7, 3);
  if (structure) {
    bits.Put(offset, 6).Put(templates - 1, 5);
    for (unsigned i = 0; i + 1 < templates; ++i) bits.Put((i + 1) % options_.temporal == 0 ? 2 : 1, 2);
    bits.Put(3, 2);
    for (unsigned i = 0; i < templates; ++i) {
      LayeredFrame of;
      of.spatial = static_cast<uint8_t>(i / options_.temporal);
      of.temporal = static_cast<uint8_t>(i % options_.temporal);
      of.key = true;
      for (unsigned target = 0; target < templates; ++target) {
        bits.Put(Indication(of, static_cast<uint8_t>(target / options_.temporal),
                            static_cast<uint8_t>(target % options_.temporal)),
                 2);
      }
    }
    for (unsigned i = 0; i < templates; ++i) bits.Put(0, 1);  // frame differences stand in every frame
    bits.NonSymmetric(options_.spatial, templates + 1);
    for (unsigned target = 0; target < templates; ++target) {
      bits.NonSymmetric(target / options_.temporal, options_.spatial);
    }
    for (unsigned i = 0; i < templates * options_.spatial; ++i) bits.Put(0, 4);
    bits.Put(1, 1);
    for (unsigned s = 0; s < options_.spatial; ++s) bits.Put((160u << s) - 1, 16).Put((90u << s) - 1, 16);
  }
  for (unsigned target = 0; target < templates; ++target) {
    bits.Put(Indication(frame, static_cast<uint8_t>(target / options_.temporal),
                        static_cast<uint8_t>(target % options_.temporal)),
             2);
  }
  for (const size_t id : frame.needs) {
    bits.Put(2, 2).Put(static_cast<uint32_t>((frame.id - id) * options_.frame_number_step - 1) & 255, 8);
  }
  bits.Put(0, 2);
  for (uint8_t chain = 0; chain < options_.spatial; ++chain) bits.Put(chain_diff_.at(chain), 8);
  return bits.bytes();
}

std::vector<uint8_t> LayeredSource::Payload(const LayeredFrame& frame, bool first, bool last) const {
  switch (options_.signal) {
    case LayerSignal::kVp8:
      return Vp8Payload(frame, first);
    case LayerSignal::kVp9Flexible:
    case LayerSignal::kVp9NonFlexible:
      return Vp9Payload(frame, first, last);
    case LayerSignal::kDescriptor:
      break;
  }
  return {static_cast<uint8_t>(frame.id * 37), static_cast<uint8_t>(frame.id * 101), 0x5A, 0xC3};
}

std::vector<LayeredPacket> LayeredSource::NextPicture(bool key) {
  key |= picture_ == 0;
  if (key) {
    since_key_ = 0;
    last_.clear();
    chain_last_.clear();
    ++structures_;
  }
  const uint8_t temporal = TemporalOf(since_key_++);
  if (temporal == 0) ++tl0_;
  std::vector<LayeredPacket> packets;
  for (uint8_t spatial = 0; spatial < options_.spatial; ++spatial) {
    const LayeredFrame frame = AddFrame(spatial, temporal, key);
    for (uint8_t chain = 0; chain < options_.spatial; ++chain) {
      const auto before = chain_last_.find(chain);
      chain_diff_[chain] =
          before == chain_last_.end() ? uint8_t{0} : static_cast<uint8_t>(frame_number_ - before->second);
    }
    for (size_t i = 0; i < options_.packets_per_frame; ++i) {
      const bool first = i == 0;
      const bool last = i + 1 == options_.packets_per_frame;
      LayeredPacket made;
      made.frame = frame.id;
      made.last_of_frame = last;
      SourcePacket& packet = made.packet;
      packet.sequence_number = sequence_++;
      packet.timestamp = timestamp_;
      packet.media_time = packet.arrival = time_;
      packet.marker = last && spatial + 1 == options_.spatial;
      bytes_.push_back(Payload(frame, first, last));
      packet.payload = bytes_.back();
      if (options_.signal == LayerSignal::kDescriptor || options_.descriptors) {
        bytes_.push_back(Descriptor(frame, first, last));
        packet.dependency_descriptor = bytes_.back();
      }
      packet.frame = inspector_.Inspect(packet.payload, static_cast<uint32_t>(timestamp_), packet.marker,
                                        packet.dependency_descriptor);
      packets.push_back(made);
    }
    for (uint8_t chain = 0; chain < options_.spatial; ++chain) {
      if (InChain(frame, chain)) chain_last_[chain] = frame_number_;
    }
    frame_number_ = static_cast<uint16_t>(frame_number_ + options_.frame_number_step);
  }
  ++picture_;
  timestamp_ += 3000;
  time_ += Duration(33'333);
  return packets;
}

}  // namespace nexus::testing
