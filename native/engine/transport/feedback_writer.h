// Writer of RTCP to one peer: feedback about the streams that it publishes (NACK, PLI, transport-wide
// feedback, report blocks), and sender reports of its slots.
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

  // Schedules the first report within the interval.
  void Start(Timestamp now);
  // Sends NACKs, keyframe requests and transport-wide feedback that are due.
  void SendFeedback(Timestamp now);
  // Sends report blocks about published streams, and sender reports of the slots.
  void SendReports(const SubscriberSlots& slots, Timestamp now);
  // When `SendFeedback` is due.
  Timestamp next_deadline() const;

 private:
  void BeginCompound(RtcpCompoundWriter& writer) const;
  void Send(RtcpCompoundWriter& writer);
  void WriteNacks(PublishedLayer& layer, RtcpCompoundWriter& writer, Timestamp now);
  void WriteTwcc(RtcpCompoundWriter& writer, Timestamp now);
  // From report blocks, else from how fast NACKs are answered: a peer that only publishes sends no report
  // blocks.
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
