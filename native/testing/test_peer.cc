#include "testing/test_peer.h"

#include <algorithm>
#include <utility>

#include "engine/rtp/demultiplexer.h"
#include "engine/rtp/red.h"
#include "engine/rtp/rtx.h"
#include "engine/stun/stun_writer.h"
#include "testing/bits.h"
#include "testing/vp8_payload.h"

namespace nexus::testing {
namespace {

constexpr Ssrc kReporter{0xFEEDBACC};

// RFC 8285 section 4.2: an element with a one-byte header.
struct ExtensionElement {
  uint8_t id = 0;
  std::vector<uint8_t> value;
};

// Block of one-byte elements, padded to a multiple of four.
std::vector<uint8_t> ExtensionBlock(const std::vector<ExtensionElement>& elements) {
  std::vector<uint8_t> body;
  for (const auto& [id, value] : elements) {
    body.push_back(static_cast<uint8_t>(id << 4 | (value.size() - 1)));
    body.insert(body.end(), value.begin(), value.end());
  }
  while (body.size() % 4 != 0) body.push_back(0);
  const auto words = static_cast<uint8_t>(body.size() / 4);
  body.insert(body.begin(), {0xBE, 0xDE, 0, words});
  return body;
}

std::vector<uint8_t> FixedHeader(bool marker, uint8_t payload_type, uint16_t sequence, uint32_t timestamp,
                                 Ssrc ssrc) {
  std::vector<uint8_t> header(12);
  ByteWriter writer(header);
  writer.U8(0x90);  // version 2, extension
  writer.U8(static_cast<uint8_t>((marker ? 0x80 : 0) | payload_type));
  writer.U16(sequence);
  writer.U32(timestamp);
  writer.U32(ssrc.value);
  return header;
}

// RFC 2198: like libwebrtc, adds the preceding packets whose timestamp offsets fit.
std::vector<uint8_t> WithRedundancy(const PublishedStream& stream, size_t distance, PayloadType opus) {
  const auto& [timestamp, primary] = stream.sent_audio.front();
  std::vector<RedBlock> blocks;
  for (size_t i = 1; i <= distance && i < stream.sent_audio.size(); ++i) {
    const uint32_t offset = timestamp - stream.sent_audio[i].first;
    if (offset > kMaxRedTimestampOffset) break;
    blocks.insert(blocks.begin(), {opus, static_cast<uint16_t>(offset), stream.sent_audio[i].second});
  }
  std::vector<uint8_t> payload(4000);
  payload.resize(WriteRedPrefix(payload, opus, blocks));
  payload.insert(payload.end(), primary.begin(), primary.end());
  return payload;
}

// AV1 RTP specification, appendix A.8, for a stream of one layer: one template, one decode target, one chain.
// Each frame contains the distance to the one before.
std::vector<uint8_t> Descriptor(const PublishedStream& stream, bool key, bool first, bool last) {
  const uint8_t step = key ? 0 : static_cast<uint8_t>(stream.options.frame_number_step);
  const bool structure = key && first;
  Bits bits;
  bits.Put(first, 1).Put(last, 1).Put(stream.template_offset, 6).Put(stream.frame_number, 16);
  bits.Put(structure, 1).Put(0, 2).Put(3, 2);
  if (structure) {
    bits.Put(stream.template_offset, 6).Put(0, 5);
    bits.Put(3, 2);                              // no more templates
    bits.Put(2, 2).Put(0, 1);                    // a switch indication, no frame differences
    bits.NonSymmetric(1, 2).NonSymmetric(0, 1);  // one chain, which protects the target
    bits.Put(0, 4).Put(0, 1);                    // no resolutions
  }
  if (!key) bits.Put(1, 2).Put(step - 1u, 4);
  bits.Put(0, 2).Put(step, 8);
  return bits.bytes();
}

// RFC 8852 section 3.2: a retransmission names its stream by the repaired RID instead. One-byte elements.
void RenameRid(std::vector<uint8_t>& header, const std::string& rid, uint8_t first_extension_id) {
  if (rid.empty()) return;
  const auto size = static_cast<uint8_t>(rid.size() - 1);
  std::vector<uint8_t> element = {static_cast<uint8_t>((first_extension_id + 4) << 4 | size)};
  element.insert(element.end(), rid.begin(), rid.end());
  const auto found = std::search(header.begin() + 12, header.end(), element.begin(), element.end());
  if (found != header.end()) *found = static_cast<uint8_t>((first_extension_id + 5) << 4 | size);
}

constexpr Duration kNeverByItself = std::chrono::hours(10'000);

// Reports are made by hand, and the peer stays whatever the network does: tests say when it stops.
ClientConfig TestPeerConfig() {
  ClientConfig config;
  config.rtcp_interval = kNeverByItself;
  config.transport.ice_agent.connect_timeout = kNeverByItself;
  config.transport.ice_agent.consent_timeout = kNeverByItself;
  config.transport.max_application_data = 64;
  return config;
}

}  // namespace

TestPeer::TestPeer(PeerOptions options) : EmulatedPeer(std::move(options), TestPeerConfig()) {}

void TestPeer::HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp now) {
  if (vanished()) return;
  const Protocol protocol = Demultiplex(datagram);
  if (protocol != Protocol::kRtp && protocol != Protocol::kRtcp) {
    GiveToClient(datagram, from, now);
    if (!witness_ && connected()) {
      witness_.emplace(*client().transport().srtp_keys(), options().dtls == DtlsRole::kClient);
    }
    return PumpData();
  }
  const std::vector<uint8_t> sealed(datagram.begin(), datagram.end());
  const SrtpCounters before = witness_ ? *client().transport().srtp_counters() : SrtpCounters{};
  GiveToClient(datagram, from, now);
  if (!witness_) return;
  const SrtpCounters& after = *client().transport().srtp_counters();
  const bool opened = after.rtp_opened + after.rtcp_opened > before.rtp_opened + before.rtcp_opened;
  const bool refused = after.malformed + after.unauthenticated + after.replayed + after.too_old >
                       before.malformed + before.unauthenticated + before.replayed + before.too_old;
  if (!opened && !refused) return;  // the client did not look at it
  const std::vector<uint8_t> plain = witness_->OpenIncoming(sealed, opened, datagram);
  if (!opened) {
    ++rejected;
  } else if (protocol == Protocol::kRtp) {
    ++rtp_received;
    bytes_received += sealed.size();
    RecordRtp(plain, now);
  } else {
    ++rtcp_received;
    RecordRtcp(plain, now);
  }
}

std::vector<Datagram> TestPeer::TakeDatagrams() {
  PumpData();
  std::vector<Datagram> datagrams = EmulatedPeer::TakeDatagrams();
  if (!witness_) return datagrams;
  for (const Datagram& datagram : datagrams) {
    const Protocol protocol = Demultiplex(datagram.bytes);
    const auto header =
        protocol == Protocol::kRtp ? ParseRtpHeader(datagram.bytes) : std::optional<RtpHeader>();
    // SSRCs that a test invents are left out: libsrtp would keep state for each.
    const bool judged = protocol == Protocol::kRtcp || (header && Publishes(header->ssrc));
    if (judged) witness_->OpenOutgoing(datagram.bytes);
  }
  return datagrams;
}

bool TestPeer::Publishes(Ssrc ssrc) const {
  return std::ranges::any_of(published_, [&](const PublishedStream& stream) {
    return stream.options.ssrc == ssrc || stream.options.rtx_ssrc == ssrc;
  });
}

PublishedStream& TestPeer::Publish(const PublishedStreamOptions& options) {
  return published_.emplace_back(options);
}

ReceivedStream& TestPeer::Receive(Ssrc ssrc, std::optional<Ssrc> rtx_ssrc, MediaKind kind) {
  ReceiveStreamConfig config;
  config.kind = kind;
  config.clock_rate = kind == MediaKind::kVideo ? 90'000 : 48'000;
  config.ssrc = ssrc;
  config.rtx_ssrc = rtx_ssrc;
  client().AddReceiveStream(config);
  return received_.emplace_back(ssrc, rtx_ssrc, kind);
}

void TestPeer::SendRtp(ByteView header, ByteView payload, uint64_t index) {
  client().transport().SendRtp(header, {}, payload, index);
}

std::vector<uint8_t> TestPeer::MakeCheck(const IceCredentials& server, bool nominate) const {
  StunWriter writer(StunClass::kRequest, kStunBinding, StunTransactionId{0x7E});
  writer.Username(server.ufrag + ":" + Settings().remote.ufrag);
  writer.IceControlling(1);
  if (nominate) writer.UseCandidate();
  writer.Priority(0x6E7F00FF);
  writer.MessageIntegrity(server.pwd);
  writer.Fingerprint();
  return writer.ToVector();
}

void TestPeer::SendVideoFrame(PublishedStream& stream, Timestamp now, size_t packets) {
  const bool key = std::exchange(stream.keyframe_wanted, false);
  if (key) ++stream.keyframes;
  ++stream.frames;
  stream.picture_id = (stream.picture_id + 1) & 0x7FFF;
  stream.frame_number = static_cast<uint16_t>(stream.frame_number + stream.options.frame_number_step);
  if (key) stream.template_offset = (stream.template_offset + 1) & 63;
  for (size_t i = 0; i < packets; ++i) {
    const bool last = i + 1 == packets;
    const auto sequence = static_cast<uint16_t>(stream.sequence);
    std::vector<uint8_t> header = FixedHeader(last, options().first_payload_type, sequence,
                                              stream.TimestampAt(now), stream.options.ssrc);
    const uint8_t id = options().first_extension_id;
    std::vector<ExtensionElement> extensions = {
        {static_cast<uint8_t>(id + 2),
         {static_cast<uint8_t>(stream.packets >> 8), static_cast<uint8_t>(stream.packets)}}};
    if (stream.options.with_mid) {
      extensions.push_back(
          {static_cast<uint8_t>(id + 3), {stream.options.mid.begin(), stream.options.mid.end()}});
    }
    if (!stream.options.rid.empty()) {
      extensions.push_back(
          {static_cast<uint8_t>(id + 4), {stream.options.rid.begin(), stream.options.rid.end()}});
    }
    if (stream.options.descriptors) {
      extensions.push_back({static_cast<uint8_t>(id + 6), Descriptor(stream, key, i == 0, last)});
    }
    const std::vector<uint8_t> block = ExtensionBlock(extensions);
    header.insert(header.end(), block.begin(), block.end());
    std::vector<uint8_t> payload =
        MakeVp8Descriptor({.first_of_frame = i == 0, .picture_id = stream.picture_id, .layer = {}});
    if (i == 0) {
      AppendVp8FrameStart(payload, key, stream.options.size);
    } else {
      payload.push_back(0xAA);
    }
    if (stream.options.encrypted) {
      // Replaces all bytes after the payload descriptor by noise.
      const auto frame = payload.begin() + kVp8DescriptorSize;
      std::transform(frame, payload.end(), frame,
                     [&](uint8_t byte) { return static_cast<uint8_t>(byte ^ (0xA5 + stream.frames * 31)); });
    }
    PayloadMark{stream.options.mark, stream.frames, static_cast<uint16_t>(i), now.time_since_epoch().count()}
        .Write(payload);
    payload.resize(stream.options.payload_size - (i % 2 == 0 ? stream.options.uneven : 0), 0x55);
    SendRtp(header, payload, static_cast<uint64_t>(stream.sequence));
    stream.history[sequence] = {std::move(header), std::move(payload)};
    ++stream.sequence;
    ++stream.packets;
  }
}

void TestPeer::SendAudio(PublishedStream& stream, Timestamp now, const AudioPacketOptions& packet) {
  const bool red = packet.red || packet.redundancy > 0;
  const uint32_t timestamp = stream.TimestampAt(now);
  std::vector<uint8_t> header =
      FixedHeader(false, (red ? red_payload_type() : opus_payload_type()).value,
                  static_cast<uint16_t>(stream.sequence), timestamp, stream.options.ssrc);
  const uint8_t id = options().first_extension_id;
  std::vector<ExtensionElement> extensions;
  if (packet.with_level) extensions.push_back({id, {static_cast<uint8_t>(0x80 | packet.level)}});
  if (stream.options.with_mid) {
    extensions.push_back(
        {static_cast<uint8_t>(id + 3), {stream.options.mid.begin(), stream.options.mid.end()}});
  }
  const std::vector<uint8_t> block = ExtensionBlock(extensions);
  header.insert(header.end(), block.begin(), block.end());
  std::vector<uint8_t> payload = {0x78};  // RFC 6716 section 3.1: 20 ms CELT fullband
  ++stream.frames;
  PayloadMark{stream.options.mark, stream.frames, 0, now.time_since_epoch().count()}.Write(payload);
  payload.resize(packet.size, 0x66);
  stream.sent_audio.push_front({timestamp, payload});
  if (red) payload = WithRedundancy(stream, packet.redundancy, opus_payload_type());
  if (stream.sent_audio.size() > kKeptRedBlocks) stream.sent_audio.pop_back();
  if (!packet.lost) SendRtp(header, payload, static_cast<uint64_t>(stream.sequence));
  ++stream.sequence;
  ++stream.packets;
}

void TestPeer::SendRtcp(const RtcpCompoundWriter& writer) {
  if (!writer.empty()) client().transport().SendRtcp(writer.bytes());
}

void TestPeer::SendSenderReport(const PublishedStream& stream, Timestamp now) {
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  SenderReportFields report;
  report.sender = stream.options.ssrc;
  report.ntp = Ntp(now);
  report.rtp_timestamp = stream.TimestampAt(now);
  report.packet_count = stream.packets;
  writer.AddSenderReport(report);
  writer.AddCname(stream.options.ssrc, "test");
  SendRtcp(writer);
}

void TestPeer::SendReceiverReports(Timestamp now) {
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  for (const ReceivedStream& stream : received_) {
    if (stream.packets.empty() || !options().receiver_reports) continue;
    ReportBlock block;
    block.source = stream.ssrc;
    block.extended_highest_sequence = static_cast<uint32_t>(stream.packets.rbegin()->first);
    block.fraction_lost = fraction_lost;
    block.last_sr = stream.sr_compact;
    block.delay_since_last_sr = static_cast<uint32_t>((now - stream.sr_arrival).count() * 65536 / 1'000'000);
    writer.AddReceiverReport(kReporter, std::span(&block, 1));
  }
  SendRtcp(writer);
}

void TestPeer::SendPli(Ssrc media) {
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  writer.AddPli(kReporter, media);
  SendRtcp(writer);
}

void TestPeer::SendNacks(Ssrc media, const std::vector<std::vector<uint16_t>>& blocks) {
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  for (const std::vector<uint16_t>& block : blocks) writer.AddNack(kReporter, media, block);
  SendRtcp(writer);
}

ByteView TestPeer::DescriptorIn(const RtpPacketView& packet) const {
  const uint8_t id = Settings().extensions.id(RtpExtension::kDependencyDescriptor);
  return id == 0 ? ByteView() : packet.FindExtension(id).value_or(ByteView());
}

void TestPeer::RecordRtp(ByteView plain, Timestamp now) {
  const auto header = ParseRtpHeader(plain);
  const auto packet = header ? CompleteRtp(*header, plain) : std::nullopt;
  if (!packet) return;
  for (ReceivedStream& stream : received_) {
    bool keyframe = false;
    if (stream.ssrc == header->ssrc) {
      const bool red = options().red && header->payload_type == red_payload_type();
      keyframe = stream.OnPacket(*packet, now, false, red, DescriptorIn(*packet));
    } else if (stream.rtx_ssrc == header->ssrc) {
      stream.rtx_sequences.push_back(header->sequence_number);
      std::array<uint8_t, 2048> original;
      const size_t restored = RestoreFromRtx(*packet, stream.ssrc, PayloadTypeAt(0), original);
      const auto view = ParseRtp(ByteView(original).first(restored));
      if (view) keyframe = stream.OnPacket(*view, now, true, false, DescriptorIn(*view));
    } else {
      continue;
    }
    if (keyframe) client().FindReceiveStream(stream.ssrc)->OnKeyframe(now);
    return;
  }
  ++unknown_ssrcs;
}

void TestPeer::Retransmit(PublishedStream& stream, uint16_t sequence) {
  ++stream.nacked;
  const auto stored = stream.history.find(sequence);
  if (stored == stream.history.end()) return;
  // RFC 4588 section 4: the header of the retransmission stream, the original number in front.
  std::vector<uint8_t> header = stored->second.header;
  header[1] = static_cast<uint8_t>((header[1] & 0x80) | PayloadTypeAt(1).value);
  ByteWriter(MutableByteView(header).subspan(2)).U16(static_cast<uint16_t>(stream.rtx_sequence));
  ByteWriter(MutableByteView(header).subspan(8)).U32(stream.options.rtx_ssrc.value);
  RenameRid(header, stream.options.rid, options().first_extension_id);
  std::vector<uint8_t> payload = {static_cast<uint8_t>(sequence >> 8), static_cast<uint8_t>(sequence)};
  payload.insert(payload.end(), stored->second.payload.begin(), stored->second.payload.end());
  SendRtp(header, payload, static_cast<uint64_t>(stream.rtx_sequence++));
}

void TestPeer::RecordRtcp(ByteView plain, Timestamp now) {
  RtcpReader reader(plain);
  while (const auto item = reader.Next()) {
    for (PublishedStream& stream : published_) {
      if (const auto* loss = std::get_if<PictureLoss>(&*item); loss && loss->media == stream.options.ssrc) {
        stream.plis.push_back(now);
        stream.keyframe_wanted = true;
      }
      if (const auto* nack = std::get_if<Nack>(&*item); nack && nack->media == stream.options.ssrc) {
        nack->ForEach([&](uint16_t sequence) { Retransmit(stream, sequence); });
      }
      if (std::holds_alternative<TwccFeedbackView>(*item)) ++stream.twcc_feedbacks;
      if (const auto* report = std::get_if<ReceiverReport>(&*item)) {
        for (size_t i = 0; i < report->blocks.size(); ++i) {
          if (report->blocks[i].source == stream.options.ssrc) stream.reports.push_back(report->blocks[i]);
        }
      }
    }
    for (ReceivedStream& stream : received_) {
      if (const auto* report = std::get_if<SenderReport>(&*item); report && report->sender == stream.ssrc) {
        stream.sr_timestamp = report->rtp_timestamp;
        stream.sr_ntp_us = report->ntp.micros();
        stream.sr_compact = report->ntp.compact();
        stream.sr_arrival = now;
      }
      if (const auto* name = std::get_if<SdesCname>(&*item); name && name->source == stream.ssrc) {
        stream.cnames.emplace_back(name->cname);
      }
    }
  }
}

TestData& TestPeer::UseData() {
  if (!data_) data_ = std::make_unique<TestData>(options().dtls == DtlsRole::kClient);
  return *data_;
}

void TestPeer::PumpData() {
  if (!data_ || !connected()) return;
  ClientTransport& transport = client().transport();
  if (!std::exchange(data_connected_, true)) data_->channels.Connect();
  while (auto packet = transport.PollApplicationData()) data_->channels.HandlePacket(*packet);
  data_->Read();
  data_->channels.Flush();
  while (auto packet = data_->channels.PollTransmit()) transport.SendApplicationData(*packet);
}

}  // namespace nexus::testing
