#include "bindings/bindings.h"
#include "engine/control/command.h"
#include "engine/control/stats.h"

namespace nexus::bindings {

void AddEnums(nb::module_& module) {
  nb::enum_<MediaKind>(module, "Kind").value("AUDIO", MediaKind::kAudio).value("VIDEO", MediaKind::kVideo);
  nb::enum_<PyCodec>(module, "Codec")
      .value("OPUS", PyCodec::kOpus)
      .value("VP8", PyCodec::kVp8)
      .value("VP9", PyCodec::kVp9)
      .value("H264", PyCodec::kH264)
      .value("AV1", PyCodec::kAv1);
  nb::enum_<PyHeaderExtension>(module, "HeaderExtension")
      .value("AUDIO_LEVEL", PyHeaderExtension::kAudioLevel)
      .value("ABS_SEND_TIME", PyHeaderExtension::kAbsSendTime)
      .value("TRANSPORT_WIDE_CC", PyHeaderExtension::kTransportWideCc)
      .value("MID", PyHeaderExtension::kMid)
      .value("RTP_STREAM_ID", PyHeaderExtension::kRtpStreamId)
      .value("REPAIRED_RTP_STREAM_ID", PyHeaderExtension::kRepairedRtpStreamId)
      .value("DEPENDENCY_DESCRIPTOR", PyHeaderExtension::kDependencyDescriptor)
      .value("VIDEO_ORIENTATION", PyHeaderExtension::kVideoOrientation);
  nb::enum_<TransportState>(module, "TransportState")
      .value("NEW", TransportState::kNew)
      .value("CONNECTED", TransportState::kConnected)
      .value("DISCONNECTED", TransportState::kDisconnected)
      .value("FAILED", TransportState::kFailed)
      .value("CLOSED", TransportState::kClosed);
}

}  // namespace nexus::bindings
