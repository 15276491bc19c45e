// Converts header extension ids from a Python dict to the engine's table.
#pragma once

#include <map>

#include "bindings/bindings.h"
#include "engine/rtp/rtp_extensions.h"

namespace nexus::bindings {

using ExtensionIds = std::map<PyHeaderExtension, int64_t>;

inline RtpExtension FromPython(PyHeaderExtension extension) {
  switch (extension) {
    case PyHeaderExtension::kAudioLevel:
      return RtpExtension::kAudioLevel;
    case PyHeaderExtension::kAbsSendTime:
      return RtpExtension::kAbsSendTime;
    case PyHeaderExtension::kTransportWideCc:
      return RtpExtension::kTransportSequenceNumber;
    case PyHeaderExtension::kMid:
      return RtpExtension::kMid;
    case PyHeaderExtension::kRtpStreamId:
      return RtpExtension::kRid;
    case PyHeaderExtension::kRepairedRtpStreamId:
      return RtpExtension::kRepairedRid;
    case PyHeaderExtension::kDependencyDescriptor:
      return RtpExtension::kDependencyDescriptor;
    case PyHeaderExtension::kVideoOrientation:
      return RtpExtension::kVideoOrientation;
  }
  throw nb::value_error("unknown header extension");
}

inline RtpExtensionIds ToExtensionIds(const ExtensionIds& given) {
  RtpExtensionIds ids;
  for (const auto& [extension, id] : given) {
    // RFC 8285 sections 4.2 and 4.3; 15 is reserved in the one-byte form and usable in the two-byte one.
    if (id < 1 || id > 255) throw nb::value_error("header extension ids must be 1 to 255");
    ids.Set(FromPython(extension), static_cast<uint8_t>(id));
  }
  return ids;
}

}  // namespace nexus::bindings
