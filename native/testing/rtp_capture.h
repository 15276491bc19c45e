// A capture as a published layer receives it: unwrapped, inspected, with the extensions that forwarding
// reads.
#pragma once

#include <vector>

#include "engine/base/unwrap.h"
#include "engine/codec/payload_inspector.h"
#include "engine/forward/source_packet.h"
#include "engine/rtp/rtp_packet.h"
#include "testing/pcap.h"

namespace nexus::testing {

struct CapturedStream {
  CapturedStream() = default;
  CapturedStream(CapturedStream&&) = default;  // a copy's packets would point into the original
  CapturedStream& operator=(CapturedStream&&) = default;

  std::vector<CapturedDatagram> datagrams;  // what `packets` point into
  std::vector<SourcePacket> packets;
  std::vector<std::vector<uint8_t>> descriptors;
};

inline CapturedStream LoadStream(std::vector<CapturedDatagram> datagrams, Codec codec) {
  CapturedStream stream;
  stream.datagrams = std::move(datagrams);
  PayloadInspector inspector(codec);
  Unwrapper<uint16_t> sequence;
  Unwrapper<uint32_t> timestamp;
  for (const CapturedDatagram& datagram : stream.datagrams) {
    const auto view = ParseRtp(datagram.bytes);
    if (!view) continue;
    SourcePacket packet;
    packet.sequence_number = sequence.Unwrap(view->header().sequence_number);
    packet.timestamp = timestamp.Unwrap(view->header().timestamp);
    packet.arrival = datagram.time;
    packet.media_time = datagram.time;
    packet.marker = view->header().marker;
    packet.payload = view->payload();
    packet.frame = inspector.Inspect(packet.payload, view->header().timestamp, packet.marker, {});
    stream.packets.push_back(packet);
  }
  return stream;
}

// Adds a dependency descriptor of a structure with one template to each packet of the AV1 capture, which has
// none.
inline CapturedStream WithDescriptors(CapturedStream stream) {
  PayloadInspector inspector(Codec::kAv1);
  uint16_t frame = 65'000;
  bool start = true;
  for (SourcePacket& packet : stream.packets) {
    std::vector<uint8_t> value = {static_cast<uint8_t>((start ? 0x80 : 0) | (packet.marker ? 0x40 : 0)),
                                  static_cast<uint8_t>(frame >> 8), static_cast<uint8_t>(frame)};
    if (start && packet.frame.keyframe_start) value.insert(value.end(), {0x80, 0x00, 0xE0});
    stream.descriptors.push_back(std::move(value));
    packet.dependency_descriptor = stream.descriptors.back();
    packet.frame = inspector.Inspect(packet.payload, static_cast<uint32_t>(packet.timestamp), packet.marker,
                                     packet.dependency_descriptor);
    start = packet.marker;
    frame = static_cast<uint16_t>(frame + (start ? 1 : 0));
  }
  return stream;
}

}  // namespace nexus::testing
