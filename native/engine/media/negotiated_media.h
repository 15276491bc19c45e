// Codecs and header extensions that one transport has negotiated.
#pragma once

#include "engine/media/codec_table.h"
#include "engine/rtp/rtp_extensions.h"

namespace nexus {

struct NegotiatedMedia {
  CodecTable codecs;
  RtpExtensionIds extensions;
  bool forward_descriptors = false;  // all video slots have negotiated dependency descriptors

  // The header extensions that slots send: the dependency descriptor may have been negotiated only for what
  // the peer publishes.
  RtpExtensionIds slot_extensions() const {
    RtpExtensionIds ids = extensions;
    if (!forward_descriptors) ids.Set(RtpExtension::kDependencyDescriptor, 0);
    return ids;
  }
};

}  // namespace nexus
