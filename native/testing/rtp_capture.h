// A capture as a published layer would see it: unwrapped, inspected, with the extensions that forwarding
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
  std::vector<CapturedDatagram> datagrams;  // what `packets` point into
  std::vector<SourcePacket> packets;
};

// `descriptor_id`: the number of the dependency descriptor in this capture, 0 for none.
inline CapturedStream LoadStream(std::vector<CapturedDatagram> datagrams, Codec codec,
                                 uint8_t descriptor_id = 0) {
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
    packet.dependency_descriptor = view->FindExtension(descriptor_id).value_or(ByteView{});
    packet.frame = inspector.Inspect(packet.payload, view->header().timestamp, packet.marker,
                                     packet.dependency_descriptor);
    stream.packets.push_back(packet);
  }
  return stream;
}

}  // namespace nexus::testing
