// Writes a compound RTCP packet of at most the MTU into the caller's buffer. Each call adds one packet or
// nothing: if it returns false, the packet does not fit and the compound is unchanged.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>

#include "engine/rtcp/rtcp_packet.h"

namespace nexus {

inline constexpr size_t kRtcpMtu = 1200;

struct SenderReportFields {
  Ssrc sender;
  NtpTime ntp;
  uint32_t rtp_timestamp = 0;
  uint32_t packet_count = 0;
  uint32_t octet_count = 0;
};

class RtcpCompoundWriter {
 public:
  explicit RtcpCompoundWriter(MutableByteView out) : out_(out.first(std::min(out.size(), kRtcpMtu))) {}

  bool AddSenderReport(const SenderReportFields& fields, std::span<const ReportBlock> blocks = {});
  bool AddReceiverReport(Ssrc sender, std::span<const ReportBlock> blocks);
  bool AddCname(Ssrc source, std::string_view cname);
  bool AddBye(Ssrc source);
  // Writes as many of the sequence numbers (ascending, may wrap) as fit; returns how many.
  size_t AddNack(Ssrc sender, Ssrc media, std::span<const uint16_t> sequence_numbers);
  bool AddPli(Ssrc sender, Ssrc media);
  bool AddFir(Ssrc sender, Ssrc media, uint8_t sequence);
  // Adds a complete RTCP packet (TWCC feedback).
  bool AddPacket(ByteView packet);

  ByteView bytes() const { return ByteView(out_).first(size_); }
  bool empty() const { return size_ == 0; }
  void Clear() { size_ = 0; }

 private:
  ByteWriter Begin() const { return ByteWriter(out_.subspan(size_)); }
  bool Commit(ByteWriter& writer);

  MutableByteView out_;
  size_t size_ = 0;
};

}  // namespace nexus
