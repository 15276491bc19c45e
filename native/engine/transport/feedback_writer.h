// RTCP to one peer: what its published streams need (NACK, PLI, transport-wide feedback, report blocks), and
// sender reports of its slots.
#pragma once

#include <string>

#include "engine/rtcp/rtcp_writer.h"
#include "engine/subscribe/subscriber_slots.h"
#include "engine/transport/rtp_receiver.h"

namespace nexus {

class FeedbackWriter {
 public:
  FeedbackWriter(ShardContext& context, RtpReceiver& receiver, MediaSender& sender,
                 TransportSchedule& schedule, bool reduced_size);

  // The first report comes within the interval.
  void Start(Timestamp now);
  // NACKs, keyframe requests and transport-wide feedback that are due.
  void SendFeedback(Timestamp now);
  // Report blocks about what is published, sender reports of the slots.
  void SendReports(const SubscriberSlots& slots, Timestamp now);
  // Of `SendFeedback`.
  Timestamp next_deadline() const;

 private:
  void BeginCompound(RtcpCompoundWriter& writer) const;
  void Send(RtcpCompoundWriter& writer);
  void WriteNacks(PublishedLayer& layer, RtcpCompoundWriter& writer, Timestamp now);
  void WriteTwcc(RtcpCompoundWriter& writer, Timestamp now);
  // Measured by report blocks, else by how fast NACKs are answered: a peer that only publishes sends no
  // report blocks.
  Duration RttTo(const PublishedLayer& layer) const;

  ShardContext& context_;
  RtpReceiver& receiver_;
  MediaSender& sender_;
  TransportSchedule& schedule_;
  bool reduced_size_;  // RFC 5506
  Ssrc local_ssrc_;
  std::string cname_;
};

}  // namespace nexus
