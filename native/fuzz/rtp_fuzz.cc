// RTP from a peer: parses header, extensions and RTX, and writes what was parsed.
#include <array>
#include <cstdlib>

#include "engine/rtp/rtp_writer.h"
#include "engine/rtp/rtx.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nexus;
  const ByteView packet(data, size);
  (void)ParseRtpHeader(packet);
  const auto view = ParseRtp(packet);
  if (!view) return 0;
  std::array<uint8_t, kMaxRtpHeaderSize> header_bytes;
  OutgoingRtpHeader header;
  header.ids.Set(RtpExtension::kDependencyDescriptor, 1);
  header.ids.Set(RtpExtension::kAudioLevel, 2);
  RtpExtensionReader reader = view->extensions();
  while (const auto element = reader.Next()) {
    (void)ParseExtensionText(element->value);
    (void)ParseTransportSequenceNumber(element->value);
    (void)ParseAbsSendTime(element->value);
    header.audio_level = ParseAudioLevel(element->value);
    header.dependency_descriptor = element->value;
    const size_t written = WriteRtpHeader(header_bytes, header);
    const auto again = ParseRtp(ByteView(header_bytes).first(written));
    if (!again) std::abort();
    const auto value = again->FindExtension(1);
    if (!element->value.empty() && (!value || value->size() != element->value.size())) std::abort();
  }
  for (size_t i = 0; i <= view->header().csrc_count; ++i) (void)view->csrc(i);
  std::array<uint8_t, 2048> restored;
  const size_t restored_size = RestoreFromRtx(*view, Ssrc{1}, PayloadType{96}, restored);
  if (restored_size != 0 && !ParseRtp(ByteView(restored).first(restored_size))) std::abort();
  return 0;
}
