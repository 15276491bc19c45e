#include "testing/test_peer.h"

#include <algorithm>
#include <utility>

#include "engine/media/incoming_extensions.h"
#include "engine/rtp/demultiplexer.h"
#include "engine/rtp/red.h"
#include "engine/rtp/rtp_extensions.h"
#include "engine/rtp/rtx.h"
#include "testing/bits.h"

namespace nexus::testing {
namespace {

constexpr Ssrc kFeedbackSender{0xFEEDBACC};

std::string Credential(uint64_t seed, size_t size) {
  std::mt19937_64 random(seed);
  std::string text;
  for (size_t i = 0; i < size; ++i) text += static_cast<char>('a' + random() % 26);
  return text;
}

// RFC 8285 one-byte elements, padded to a multiple of four.
std::vector<uint8_t> ExtensionBlock(const std::vector<std::pair<uint8_t, std::vector<uint8_t>>>& elements) {
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

// RFC 2198: as libwebrtc does it, what came right before rides along while its offset fits.
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

// AV1 RTP specification, appendix A.8, of a stream of one layer: one template, one decode target, one chain.
// Where the frame before is stands in each frame.
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

}  // namespace

TestPeer::TestPeer(TestPeerOptions options)
    : options_(std::move(options)),
      local_{Credential(options_.seed * 2 + 1, 8), Credential(options_.seed * 2 + 2, 24)} {
  if (options_.certificate == nullptr) options_.certificate = DtlsCertificate::Generate();
}

TransportSettings TestPeer::Settings() const {
  TransportSettings settings;
  settings.remote = local_;
  settings.fingerprints = {{"sha-256", options_.certificate->fingerprint()}};
  settings.dtls_role = options_.dtls == DtlsRole::kClient ? DtlsRole::kServer : DtlsRole::kClient;
  const uint8_t first = options_.first_payload_type;
  CodecBinding vp8;
  vp8.payload_type = PayloadType{first};
  vp8.rtx_payload_type = PayloadType{static_cast<uint8_t>(first + 1)};
  vp8.codec = options_.video;
  vp8.clock_rate = 90'000;
  CodecBinding opus;
  opus.payload_type = PayloadType{static_cast<uint8_t>(first + 2)};
  opus.codec = Codec::kOpus;
  opus.clock_rate = 48'000;
  if (options_.red) opus.red_payload_type = red_payload_type();
  settings.codecs = {vp8, opus};
  const uint8_t id = options_.first_extension_id;
  settings.extensions.Set(RtpExtension::kAudioLevel, id);
  settings.extensions.Set(RtpExtension::kAbsSendTime, id + 1);
  settings.extensions.Set(RtpExtension::kTransportSequenceNumber, id + 2);
  settings.extensions.Set(RtpExtension::kMid, id + 3);
  settings.extensions.Set(RtpExtension::kRid, id + 4);
  settings.extensions.Set(RtpExtension::kRepairedRid, id + 5);
  if (options_.descriptors) settings.extensions.Set(RtpExtension::kDependencyDescriptor, id + 6);
  settings.forward_descriptors = options_.descriptors && options_.descriptors_to_slots;
  return settings;
}

void TestPeer::Connect(const ServerDescription& server, Timestamp now) {
  server_ = server.address;
  ice_.emplace(local_, server.ice, options_.ice, options_.seed, now);
  DtlsConfig config;
  config.role = options_.dtls;
  config.certificate = options_.certificate;
  config.remote_fingerprints = {{"sha-256", server.fingerprint}};
  config.profiles = options_.profiles;
  config.max_received = 64;
  dtls_.emplace(std::move(config));
  HandleTimeout(now);
}

void TestPeer::RestartIce(const IceCredentials& local, const IceCredentials& server, Timestamp now) {
  local_ = local;
  ice_.emplace(local_, server, options_.ice, options_.seed + 1, now);
  HandleTimeout(now);
}

std::optional<SrtpProfile> TestPeer::profile() const {
  if (!sealer_) return std::nullopt;
  return sealer_->profile();
}

void TestPeer::HandleDatagram(ByteView datagram, Timestamp now) {
  if (vanished_ || !ice_) return;
  ++datagrams_received;
  switch (Demultiplex(datagram)) {
    case Protocol::kStun: {
      const bool before = ice_->connected();
      ice_->HandleStun(datagram, now);
      if (!before && ice_->connected()) {
        dtls_->Start(now);
        PumpDtls();
      }
      break;
    }
    case Protocol::kDtls:
      dtls_->HandleDatagram(datagram, now);
      PumpDtls();
      PumpData();
      break;
    case Protocol::kRtp:
      HandleRtp({datagram.begin(), datagram.end()}, now);
      break;
    case Protocol::kRtcp:
      HandleRtcp({datagram.begin(), datagram.end()}, now);
      break;
    case Protocol::kUnknown:
      break;
  }
}

void TestPeer::PumpDtls() {
  while (auto datagram = dtls_->PollTransmit()) SendRaw(std::move(*datagram));
  if (opener_ || !dtls_->srtp_keys()) return;
  const SrtpKeys& keys = *dtls_->srtp_keys();
  const bool client = options_.dtls == DtlsRole::kClient;
  opener_.emplace(keys.profile, client ? keys.server : keys.client);
  sealer_.emplace(keys.profile, client ? keys.client : keys.server);
}

void TestPeer::HandleTimeout(Timestamp now) {
  if (vanished_ || !ice_) return;
  while (auto check = checks_stopped_ ? std::nullopt : ice_->PollTransmit(now)) SendRaw(std::move(*check));
  if (dtls_ && now >= dtls_->next_deadline()) {
    dtls_->HandleTimeout(now);
    PumpDtls();
  }
  if (connected() && now >= next_nack_) SendNacks(now);
  if (connected() && twcc_.due(now)) SendTransportFeedback(now);
}

Timestamp TestPeer::NextDeadline() const {
  if (vanished_ || !ice_) return kNever;
  Timestamp next = checks_stopped_ ? kNever : ice_->next_deadline();
  if (dtls_) next = std::min(next, dtls_->next_deadline());
  for (const ReceivedStream& stream : received_) {
    if (stream.rtx_ssrc) next = std::min(next, stream.nacks.next_deadline(Duration(50'000)));
  }
  return std::min(std::max(next, next_nack_), twcc_.next_deadline());
}

std::vector<Datagram> TestPeer::TakeDatagrams() {
  PumpData();
  return std::exchange(outgoing_, {});
}

void TestPeer::SendRaw(std::vector<uint8_t> datagram) {
  if (vanished_) return;
  outgoing_.push_back({options_.address, server_, std::move(datagram)});
}

PublishedStream& TestPeer::Publish(const PublishedStreamOptions& options) {
  return published_.emplace_back(options);
}

ReceivedStream& TestPeer::Receive(Ssrc ssrc, std::optional<Ssrc> rtx_ssrc, MediaKind kind) {
  return received_.emplace_back(ssrc, rtx_ssrc, kind);
}

void TestPeer::SendRtp(ByteView header, ByteView payload, uint64_t index) {
  if (!sealer_) return;
  std::vector<uint8_t> out(header.size() + payload.size() + kSrtpMaxRtpOverhead);
  out.resize(sealer_->SealRtp(header, payload, index, out));
  SendRaw(std::move(out));
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
    std::vector<uint8_t> header = FixedHeader(last, options_.first_payload_type, sequence,
                                              stream.TimestampAt(now), stream.options.ssrc);
    const uint8_t id = options_.first_extension_id;
    std::vector<std::pair<uint8_t, std::vector<uint8_t>>> extensions = {
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
    // RFC 7741 section 4.2: X, and S on the first packet; I with 15 bits.
    std::vector<uint8_t> payload = {static_cast<uint8_t>(i == 0 ? 0x90 : 0x80), 0x80,
                                    static_cast<uint8_t>(0x80 | stream.picture_id >> 8),
                                    static_cast<uint8_t>(stream.picture_id)};
    if (i == 0) {
      // RFC 6386 section 9.1: the P bit is clear in a keyframe; start code, width and height.
      const PictureSize size = stream.options.size;
      const std::vector<uint8_t> tag = {static_cast<uint8_t>(key ? 0x10 : 0x11),
                                        0,
                                        0,
                                        0x9D,
                                        0x01,
                                        0x2A,
                                        static_cast<uint8_t>(size.width),
                                        static_cast<uint8_t>(size.width >> 8),
                                        static_cast<uint8_t>(size.height),
                                        static_cast<uint8_t>(size.height >> 8)};
      payload.insert(payload.end(), tag.begin(), tag.end());
    } else {
      payload.push_back(0xAA);
    }
    if (stream.options.encrypted) {
      // What follows the payload descriptor is noise, of the same length.
      std::transform(payload.begin() + 4, payload.end(), payload.begin() + 4,
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
  const auto opus = static_cast<uint8_t>(options_.first_payload_type + 2);
  const uint32_t timestamp = stream.TimestampAt(now);
  std::vector<uint8_t> header =
      FixedHeader(false, red ? red_payload_type().value : opus, static_cast<uint16_t>(stream.sequence),
                  timestamp, stream.options.ssrc);
  const uint8_t id = options_.first_extension_id;
  std::vector<std::pair<uint8_t, std::vector<uint8_t>>> extensions;
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
  if (red) payload = WithRedundancy(stream, packet.redundancy, PayloadType{opus});
  if (stream.sent_audio.size() > kKeptRedBlocks) stream.sent_audio.pop_back();
  if (!packet.lost) SendRtp(header, payload, static_cast<uint64_t>(stream.sequence));
  ++stream.sequence;
  ++stream.packets;
}

void TestPeer::SendRtcp(const RtcpCompoundWriter& writer) {
  if (!sealer_ || writer.empty()) return;
  std::vector<uint8_t> out(writer.bytes().size() + kSrtpMaxRtcpOverhead);
  out.resize(sealer_->SealRtcp(writer.bytes(), out));
  SendRaw(std::move(out));
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
    if (stream.packets.empty() || !options_.receiver_reports) continue;
    ReportBlock block;
    block.source = stream.ssrc;
    block.extended_highest_sequence = static_cast<uint32_t>(stream.packets.rbegin()->first);
    block.fraction_lost = fraction_lost;
    block.last_sr = stream.sr_compact;
    block.delay_since_last_sr = static_cast<uint32_t>((now - stream.sr_arrival).count() * 65536 / 1'000'000);
    writer.AddReceiverReport(kFeedbackSender, std::span(&block, 1));
  }
  SendRtcp(writer);
}

void TestPeer::SendPli(Ssrc media) {
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  writer.AddPli(kFeedbackSender, media);
  SendRtcp(writer);
}

void TestPeer::SendNacks(Ssrc media, const std::vector<std::vector<uint16_t>>& blocks) {
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  for (const std::vector<uint16_t>& block : blocks) writer.AddNack(kFeedbackSender, media, block);
  SendRtcp(writer);
}

void TestPeer::SendNacks(Timestamp now) {
  next_nack_ = now + Duration(5'000);
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  std::array<uint16_t, 128> missing;
  for (ReceivedStream& stream : received_) {
    if (!stream.rtx_ssrc) continue;
    const size_t count = stream.nacks.Collect(now, Duration(50'000), missing);
    if (count > 0) writer.AddNack(kFeedbackSender, stream.ssrc, std::span(missing).first(count));
  }
  SendRtcp(writer);
}

void TestPeer::SendTransportFeedback(Timestamp now) {
  std::array<uint8_t, kRtcpMtu> buffer;
  std::array<uint8_t, kRtcpMtu - 100> feedback;
  while (const size_t size = twcc_.WriteFeedback(feedback, kFeedbackSender, Ssrc{1}, now)) {
    RtcpCompoundWriter writer(buffer);
    writer.AddPacket(ByteView(feedback).first(size));
    SendRtcp(writer);
  }
}

void TestPeer::HandleRtp(std::vector<uint8_t> datagram, Timestamp now) {
  const auto header = ParseRtpHeader(datagram);
  if (!opener_ || !header) return;
  const auto size = opener_->OpenRtp(datagram, header->header_size);
  if (!size) {
    ++rejected;
    return;
  }
  ++rtp_received;
  bytes_received += datagram.size();
  const auto packet = CompleteRtp(*header, ByteView(datagram).first(*size));
  if (packet && options_.transport_feedback) {
    const auto extensions = ReadExtensions(*packet, Settings().extensions);
    if (extensions.transport_sequence_number) twcc_.OnPacket(*extensions.transport_sequence_number, now);
  }
  const uint8_t descriptor_id = Settings().extensions.id(RtpExtension::kDependencyDescriptor);
  const auto descriptor = [&](const RtpPacketView& view) {
    return descriptor_id == 0 ? ByteView() : view.FindExtension(descriptor_id).value_or(ByteView());
  };
  for (ReceivedStream& stream : received_) {
    if (packet && stream.ssrc == header->ssrc) {
      const bool red = options_.red && header->payload_type == red_payload_type();
      return stream.OnPacket(*packet, now, false, red, descriptor(*packet));
    }
    if (!packet || stream.rtx_ssrc != header->ssrc) continue;
    stream.rtx_sequences.push_back(header->sequence_number);
    std::array<uint8_t, 2048> original;
    const size_t restored =
        RestoreFromRtx(*packet, stream.ssrc, PayloadType{options_.first_payload_type}, original);
    const auto view = ParseRtp(ByteView(original).first(restored));
    if (view) stream.OnPacket(*view, now, true, false, descriptor(*view));
    return;
  }
  ++unknown_ssrcs;
}

void TestPeer::HandleRtcp(std::vector<uint8_t> datagram, Timestamp now) {
  if (!opener_) return;
  const auto size = opener_->OpenRtcp(datagram);
  if (!size) {
    ++rejected;
    return;
  }
  ++rtcp_received;
  RtcpReader reader(ByteView(datagram).first(*size));
  while (const auto item = reader.Next()) {
    for (PublishedStream& stream : published_) {
      if (const auto* loss = std::get_if<PictureLoss>(&*item); loss && loss->media == stream.options.ssrc) {
        stream.plis.push_back(now);
        stream.keyframe_wanted = true;
      }
      if (const auto* nack = std::get_if<Nack>(&*item); nack && nack->media == stream.options.ssrc) {
        nack->ForEach([&](uint16_t sequence) {
          ++stream.nacked;
          const auto stored = stream.history.find(sequence);
          if (stored == stream.history.end()) return;
          // RFC 4588 section 4: the header of the retransmission stream, the original number in front.
          std::vector<uint8_t> header = stored->second.header;
          header[1] = static_cast<uint8_t>((header[1] & 0x80) | (options_.first_payload_type + 1));
          ByteWriter(MutableByteView(header).subspan(2)).U16(static_cast<uint16_t>(stream.rtx_sequence));
          ByteWriter(MutableByteView(header).subspan(8)).U32(stream.options.rtx_ssrc.value);
          RenameRid(header, stream.options.rid, options_.first_extension_id);
          std::vector<uint8_t> payload = {static_cast<uint8_t>(sequence >> 8),
                                          static_cast<uint8_t>(sequence)};
          payload.insert(payload.end(), stored->second.payload.begin(), stored->second.payload.end());
          SendRtp(header, payload, static_cast<uint64_t>(stream.rtx_sequence++));
        });
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
  if (!data_) data_ = std::make_unique<TestData>(options_.dtls == DtlsRole::kClient);
  return *data_;
}

void TestPeer::PumpData() {
  if (!data_ || !connected()) return;
  if (!std::exchange(data_connected_, true)) data_->channels.Connect();
  while (auto packet = dtls_->PollApplicationData()) data_->channels.HandlePacket(*packet);
  data_->Read();
  data_->channels.Flush();
  while (auto packet = data_->channels.PollTransmit()) dtls_->SendApplicationData(*packet);
  while (auto datagram = dtls_->PollTransmit()) SendRaw(std::move(*datagram));
}

void TestPeer::Close() {
  if (!dtls_) return;
  dtls_->Close();
  PumpDtls();
}

}  // namespace nexus::testing
